#!/usr/bin/env bash
# The life of pdvaultd as an operator sees it: exit statuses, readiness, reload, drain, one process for
# each store. Usage: test_server.sh FOLDER-OF-PROGRAMS
set -euo pipefail

bin=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/pdvault-server-XXXXXX")
pid=

cleanup() {
	if [ -n "$pid" ]; then
		kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -rf "$dir"
}
trap cleanup EXIT

fail() {
	echo "FAILED: $*" >&2
	tail -n 20 "$dir/log" >&2 || true
	exit 1
}

# exits STATUS COMMAND...
exits() {
	local expected=$1 status=0

	shift
	"$@" >"$dir/out" 2>"$dir/err" || status=$?
	if [ "$status" -ne "$expected" ]; then
		cat "$dir/out" "$dir/err" >&2
		fail "$* ended with $status instead of $expected"
	fi
}

# says TEXT FILE
says() { grep -q -e "$1" "$dir/$2" || { cat "$dir/$2" >&2; fail "no '$1' in $2"; }; }

# soon COMMAND...: within 60 s.
soon() {
	local i

	for ((i = 0; i < 600; i++)); do
		"$@" && return 0
		sleep 0.1
	done
	fail "not within 60 s: $*"
}

logged() { grep -q -s -e "$1" "$dir/log"; }

# The port that the log gives for what matches $1.
port_of() {
	sed -n "/\"event\":\"listen\".*$1/s/.*\"other\":\([0-9]*\).*/\1/p" "$dir/log" | head -n 1
}

# get PATH: status line and body of an answer.
get() {
	exec 3<>"/dev/tcp/127.0.0.1/$(port_of '"what":"http"')"
	printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
	cat <&3
	exec 3>&-
}

ended() { ! kill -0 "$pid" 2>/dev/null; }

write_configuration() {
	cat >"$dir/conf" <<-EOF
		[vault]
		path = store
		[anchor]
		path = anchor
		[seal file]
		path = key
		[listen]
		urls = tls+tcp://127.0.0.1:0
		[tls]
		ca = certificates/ca.pem
		cert = certificates/server.pem
		key = certificates/server.key
		[metrics]
		address = 127.0.0.1:0
		[principal operator]
		spiffe = spiffe://pdvault.example/operator
		methods = *
		[principal reader]
		spiffe = spiffe://pdvault.example/reader
		methods = Vault.GetIdentity
	EOF
	chmod 600 "$dir/conf"
}

as() {
	local who=$1

	shift
	PDVAULT_SERVER=tls+tcp://127.0.0.1:$(port_of '"address":"tls') \
		PDVAULT_CA=$dir/certificates/ca.pem PDVAULT_CERT=$dir/certificates/$who.pem \
		PDVAULT_KEY=$dir/certificates/$who.key "$@"
}

run() { "$bin/pdvaultd" "$@" --config "$dir/conf" --force-class-d; }

umask 077
"$root/deploy/certificates.sh" "$dir/certificates" operator reader stranger
write_configuration

# Command line and configuration.
exits 0 "$bin/pdvaultd" --help
exits 0 "$bin/pdvaultd" --version
exits 2 "$bin/pdvaultd"
exits 2 "$bin/pdvaultd" run
exits 2 "$bin/pdvaultd" nothing --config "$dir/conf"
exits 2 "$bin/pdvaultd" run --config "$dir/conf" --bogus
exits 3 "$bin/pdvaultd" run --config "$dir/none"
exits 3 run run				# there is no vault yet
exits 3 run check
"$bin/pdvaultd" config-help | diff - <(sed -n '/^| section | key/,/^$/p' "$root/docs/OPERATIONS.md" |
	sed '/^$/d') >/dev/null || fail 'docs/OPERATIONS.md differs from config-help'
for event in $(sed -n 's/^\tX([A-Z_]*, "\([a-z_]*\)", [A-Z]*).*/\1/p' "$root/server/log.h"); do
	sed -n '/^| event | level/,/^$/p' "$root/docs/OPERATIONS.md" | grep -q "^| [^|]*\`$event\`" ||
		fail "docs/OPERATIONS.md lacks the event $event"
done
sed -i 's/^address/adress/' "$dir/conf"
exits 3 run run
says '"line":14,"what":"unknown key adress in \[metrics\]; did you mean address?"' err
write_configuration
sed -i 's/^methods = Vault.GetIdentity/methods = Vault.GetIdentities/' "$dir/conf"
exits 3 run check
says 'there is no such method: Vault.GetIdentities' err
write_configuration

# A vault, once.
exits 0 run init
exits 4 run init
exits 0 run check
chmod 640 "$dir/key"
exits 3 run check
exits 3 run run
chmod 600 "$dir/key"

# Ready, and only one of it.
"$bin/pdvaultd" run --config "$dir/conf" --force-class-d 2>"$dir/log" &
pid=$!
soon logged '"event":"ready"'
get /readyz >"$dir/answer"
says '^HTTP/1.. 200 ' answer
get /livez >"$dir/answer"
says '^HTTP/1.. 200 ' answer
exits 4 run run
exits 0 run check			# beside the server

# Another vault whose address is taken: not 3, after which the service manager would leave it down.
sed -e 's/^path = /&other-/' -e "s|^urls = .*|urls = tls+tcp://127.0.0.1:$(port_of '"address":"tls')|" \
	"$dir/conf" >"$dir/other"
exits 0 "$bin/pdvaultd" init --config "$dir/other" --force-class-d
exits 1 "$bin/pdvaultd" run --config "$dir/other" --force-class-d
says '"event":"fatal","what":"listen"' err
grep -q '^RestartPreventExitStatus=2 3 4$' "$root/deploy/pdvaultd.service" || fail 'the unit starts others again'

# Who may what.
exits 0 as operator "$bin/pdvault" status --json
exits 5 as reader "$bin/pdvault" status
exits 5 as stranger "$bin/pdvault" health
get /metrics >"$dir/answer"
says '^pdvault_requests_total{method="/pdvault.v1.Admin/GetStatus",code="OK"} 1' answer
says '^pdvault_requests_total{method="/pdvault.v1.Admin/GetStatus",code="PERMISSION_DENIED"} 1' answer

# A reload that cannot be leaves everything as it was; a good one is used.
mv "$dir/certificates/server.pem" "$dir/certificates/server.old"
echo broken >"$dir/certificates/server.pem"
kill -HUP "$pid"
soon logged '"event":"reload_failed"'
exits 0 as operator "$bin/pdvault" health
get /metrics >"$dir/answer"
says '^pdvault_reload_failures_total 1' answer
mv "$dir/certificates/server.old" "$dir/certificates/server.pem"
kill -HUP "$pid"
soon logged '"event":"reload",'
exits 0 as operator "$bin/pdvault" health

# What it wrote is for nobody else, and names nobody.
[ "$(find "$dir/store" "$dir/anchor" "$dir/key" -perm /077 | wc -l)" -eq 0 ] || fail 'loose modes'

# It stops in order, and starts again.
kill -TERM "$pid"
soon ended
wait "$pid" || fail "exit status $? after SIGTERM"
says '"event":"drain"' log
says '"event":"stop"' log
rm "$dir/log"				# or what it says would be taken for the new one's
"$bin/pdvaultd" run --config "$dir/conf" --force-class-d 2>"$dir/log" &
pid=$!
soon logged '"event":"ready"'
exits 0 as operator "$bin/pdvault" status
kill -INT "$pid"
soon ended
wait "$pid" || fail "exit status $? after SIGINT"
pid=
echo passed
