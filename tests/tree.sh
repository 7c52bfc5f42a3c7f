#!/usr/bin/env bash
# Builds a preset and runs the tests of one label in its tree; "binary" checks instead what is to be
# deployed. Usage: tests/tree.sh PRESET LABEL
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1 label=$2

mkdir -p build
(
	# deploy/quickstart.sh builds there too.
	flock 9
	cmake --preset "$preset" >/dev/null
	cmake --build --preset "$preset" --parallel "$(nproc)" -- --quiet
) 9>"build/$preset.lock"
if [ "$label" = binary ]; then
	exec tests/lint --binary "build/$preset/bin/pdvaultd" "build/$preset/bin/pdvault"
fi
exec ctest --test-dir "build/$preset" --output-on-failure --parallel "$(nproc)" \
	--label-regex "^$label\$" --no-tests=ignore
