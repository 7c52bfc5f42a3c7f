#!/usr/bin/env bash
# Installs what is missing, builds with sanitizers, runs every test: the rules of the house, unit tests,
# fuzzers for some seconds, system tests, and from the same ctest run the trees of the other presets
# (release: what is deployed; tsan: the unit tests again; forensic). --nightly adds the long ones. --model
# runs the model of the switch alone; --mutants, alone too, builds each fake of a shred of server/mutant.h,
# which the tests must catch. Ends with the forensic tests by number, and the line "N passed, N failed,
# N skipped".
set -euo pipefail
cd "$(dirname "$0")/.."

nightly=no
case "${1:-}" in
'') ;;
--nightly) nightly=yes ;;
--model)
	deploy/packages.sh test
	exec tests/model/run.sh
	;;
--mutants)
	deploy/packages.sh test
	PDVAULT_MUTANTS_JOBS=$(nproc) exec tests/mutants
	;;
*) echo "usage: $0 [--nightly|--model|--mutants]" >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }
began=$SECONDS
jobs=$(nproc)

# The summary when nothing could be run.
trap 'status=$?; [ "$status" -eq 0 ] || [ -n "${tested:-}" ] || echo "0 passed, 1 failed, 0 skipped"' EXIT

set_of_packages=test
[ "$nightly" = no ] || set_of_packages=nightly
say "packages ($set_of_packages)"
deploy/packages.sh "$set_of_packages"

# Real data for the import tests lie beside the project, or else the tests make a sample.
if [ -z "${PDVAULT_SHARED_DATA:-}" ] && [ -d ../shared/data ]; then
	PDVAULT_SHARED_DATA=$(cd ../shared/data && pwd)
	export PDVAULT_SHARED_DATA
fi

presets=(dev release tsan)
ls tests/forensic/test_* >/dev/null 2>&1 && presets+=(forensic)
for preset in "${presets[@]}"; do
	say "build: $preset ($((SECONDS - began)) s)"
	cmake --preset "$preset" >/dev/null
	cmake --build --preset "$preset" --parallel "$jobs" -- --quiet
done

skip=(--label-exclude nightly)
if [ "$nightly" = yes ]; then
	skip=()
	say 'clang-tidy'
	cmake --preset fuzz -DFUZZ_SECONDS=600 >/dev/null
	cmake --build --preset fuzz --parallel "$jobs" -- --quiet
	run-clang-tidy -quiet -j "$jobs" -p build/fuzz '(server|client)/.*\.c$'
fi

say "tests ($((SECONDS - began)) s)"
export PDVAULT_HELD=$PWD/build/held
: >"$PDVAULT_HELD"
rm -f build/tests.xml
ctest --test-dir build/dev --parallel "$jobs" --output-on-failure "${skip[@]}" \
	--output-junit "$PWD/build/tests.xml" || true

say "forensic tests by number ($((SECONDS - began)) s)"
[ ! -f build/tests.xml ] || tested=yes
tests/summary build/tests.xml "$PDVAULT_HELD"
