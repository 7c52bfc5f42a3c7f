#!/usr/bin/env bash
# deploy/quickstart.sh as the README promises it: from nothing to the erased subject; --keep and --stop,
# each twice, and beside each other; the README's own lines against a server that was kept; a place of
# class D.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/pdvault-quickstart-XXXXXX")
quickstart=$root/deploy/quickstart.sh
shm=

cleanup() {
	if [ -n "$shm" ]; then
		"$quickstart" --stop --dir "$shm" >/dev/null || true
		rm -rf "$shm"
	fi
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
for word in packages build vault start load find read update seal erase gone elsewhere 'still there' 'plain text' 'back up' restore 'is back' done; do
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

# The README's lines as they stand there, typed into a shell; "STATUS COMMAND" of each that fails.
{
	echo "trap 'echo \"\$? \$BASH_COMMAND\" >>\"$dir/failed\"' ERR"
	sed -n '/^After `deploy\/quickstart.sh --keep/,/^[^ A]/s/^    //p' "$root/README.md" | sed "s|DIR/|$dir/c/|"
} >"$dir/lines"
: >"$dir/failed"
grep -q 'subject erase' "$dir/lines" || fail 'the README has no lines any more'
(cd "$root" && bash "$dir/lines") >"$dir/out" 2>&1 || true
[ "$(cat "$dir/failed")" = '4 pdvault subject get $ID' ] ||
	{ cat "$dir/failed" >&2; fail 'lines of the README fail that should not, or the other way round'; }
for word in 'Ada Lindqvist' SHREDDED SUBJECT_ERASED 'erased: *1'; do
	grep -q "$word" "$dir/out" || fail "the README's lines do not show '$word'"
done

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

# Where overwriting does not erase: tmpfs, which needs no mount.
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] && shm=$(mktemp -d /dev/shm/pdvault-quickstart-XXXXXX); then
	"$quickstart" --keep --dir "$shm" >"$dir/out" 2>&1 || fail '--keep on tmpfs'
	grep -q "the anchor's class here: D (tmpfs" "$dir/out" || fail 'the class of tmpfs is not told'
	healthy "$shm" || fail 'not reachable on tmpfs'
	"$quickstart" --stop --dir "$shm" >"$dir/out" 2>&1 || fail '--stop on tmpfs'
fi
echo passed
