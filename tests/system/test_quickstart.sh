#!/usr/bin/env bash
# deploy/quickstart.sh as the README promises it: from nothing to the erased subject; --keep and --stop,
# each twice, and beside each other.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/pdvault-quickstart-XXXXXX")
quickstart=$root/deploy/quickstart.sh

cleanup() {
	"$quickstart" --stop --dir "$dir/a b" >/dev/null || true
	"$quickstart" --stop --dir "$dir/c" >/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT

fail() {
	echo "FAILED: $*" >&2
	cat "$dir/out" >&2 || true
	exit 1
}

healthy() {
	(
		. "$1/env"
		"$root/build/release/bin/pdvault" health
	) >/dev/null
}

"$quickstart" >"$dir/out" 2>&1 || fail 'the whole of it'
for word in packages build vault start load find read update erase gone 'still there' 'plain text' done; do
	grep -q "^== .*$word" "$dir/out" || fail "no step shows '$word'"
done

"$quickstart" --keep --dir "$dir/a b" >"$dir/out" 2>&1 || fail '--keep'
healthy "$dir/a b" || fail 'not reachable by DIR/env'
first=$(cat "$dir/a b/pdvaultd.pid")
kill -0 "$first" || fail 'DIR/pdvaultd.pid names nobody'
"$quickstart" --keep --dir "$dir/c" >"$dir/out" 2>&1 || fail '--keep beside another'
healthy "$dir/a b" && healthy "$dir/c" || fail 'two at once'
"$quickstart" --keep --dir "$dir/a b" >"$dir/out" 2>&1 || fail '--keep again'
healthy "$dir/a b" || fail 'not reachable after --keep again'
[ "$(cat "$dir/a b/pdvaultd.pid")" != "$first" ] || fail 'the same process after --keep again'

"$quickstart" --stop --dir "$dir/a b" >"$dir/out" 2>&1 || fail '--stop'
healthy "$dir/c" || fail '--stop ended the other one'
"$quickstart" --stop --dir "$dir/a b" >"$dir/out" 2>&1 || fail '--stop twice'
"$quickstart" --stop --dir "$dir/nowhere" >"$dir/out" 2>&1 || fail '--stop of nothing'

# A stale id that is another process's now must not cost that one its life.
sleep 300 &
other=$!
echo "$other" >"$dir/a b/pdvaultd.pid"
"$quickstart" --stop --dir "$dir/a b" >"$dir/out" 2>&1 || fail '--stop of a stale id'
kill -0 "$other" || fail '--stop ended a process that is not its own'
kill "$other"
echo passed
