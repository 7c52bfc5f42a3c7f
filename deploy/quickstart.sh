#!/usr/bin/env bash
# From a bare Debian 12 to an erased subject: installs what is missing, builds, makes a vault and
# development certificates, starts pdvaultd, loads sample accounts, reads, finds, updates, erases, and
# shows that they are gone. For trying out: production has certificates and volumes of its own
# (docs/OPERATIONS.md).
#
#   deploy/quickstart.sh [--dir DIR]        all of it; the server ends with it. Without DIR nothing
#                                           stays; DIR is made, and may be used again
#   deploy/quickstart.sh --keep --dir DIR   makes and starts it with an empty vault (or the one in DIR),
#                                           and leaves it running: DIR/env says where, DIR/pdvaultd.pid who
#   deploy/quickstart.sh --stop --dir DIR   ends that server; when there is none, nothing happens
set -euo pipefail
umask 077

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$root/build/release/bin
verb=demo dir=

usage() {
	sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	case "$1" in
	--keep) verb=keep ;;
	--stop) verb=stop ;;
	--dir) dir=${2:-}; [ -n "$dir" ] || usage; shift ;;
	*) usage ;;
	esac
	shift
done
[ "$verb" = demo ] || [ -n "$dir" ] || usage

step() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

# The server of DIR: prints its id if it runs. An id can have gone to another process since, so the
# command line must be the one that start() made.
running() {
	local pid command

	pid=$(cat "$dir/pdvaultd.pid" 2>/dev/null) || return 1
	[[ $pid =~ ^[0-9]+$ ]] || return 1
	# A process that ended but was not waited for has an empty command line.
	command=$({ tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null) || return 1
	[ "$command" = "$(server_command)" ] || return 1
	echo "$pid"
}

server_arguments() {
	printf '%s\n' run --config "$dir/pdvaultd.conf"
	[ ! -e "$dir/class-d" ] || echo --force-class-d
}

server_command() {
	echo "$bin/pdvaultd"
	server_arguments
}

stop() {
	local pid i

	if ! pid=$(running); then
		rm -f "$dir/pdvaultd.pid"
		say 'no server is running'
		return 0
	fi
	kill -TERM "$pid"
	for ((i = 0; i < 300; i++)); do
		if ! running >/dev/null; then
			rm -f "$dir/pdvaultd.pid"
			say "server $pid has ended"
			return 0
		fi
		sleep 0.1
	done
	fail "server $pid did not end within 30 s; see $dir/log"
}

build() {
	step 'packages'
	"$root/deploy/packages.sh" build
	step "build ($bin)"
	mkdir -p "$root/build"
	# Two at once would build into one folder.
	(
		flock 9
		cd "$root"
		cmake --preset release >/dev/null
		cmake --build --preset release --parallel "$(nproc)" -- --quiet
	) 9>"$root/build/release.lock"
}

configure() {
	local recovery

	step "certificates, recovery key, configuration ($dir)"
	[ -e "$dir/recovery" ] || "$bin/pdvault" recovery new --out "$dir/recovery" >"$dir/out"
	recovery=$("$bin/pdvault" recovery show "$dir/recovery" --json | grep -o '[0-9a-f]\{64\}')
	"$root/deploy/certificates.sh" "$dir/certificates" operator >"$dir/out"
	cat >"$dir/pdvaultd.conf" <<-EOF
		# Made by deploy/quickstart.sh. Port 0: any free one; DIR/env says which.
		[vault]
		path = store
		[anchor]
		path = anchor
		[seal file]
		path = key
		[backup]
		recovery_key = $recovery
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
	EOF
}

create() {
	local class

	class=$("$bin/pdvaultd" check --config "$dir/pdvaultd.conf" 2>>"$dir/log" |
		sed -n 's/: refused without.*//; s/^anchor: .*: class \(.*\)/\1/p') || true
	step "vault (the anchor's class here: ${class:-unknown})"
	rm -f "$dir/class-d"
	if [[ $class == D* ]]; then
		say 'On class D a key that was overwritten may still be found on the disk. Fine for trying'
		say 'out, so --force-class-d is given; never in production.'
		: >"$dir/class-d"
	fi
	if [ -e "$dir/store" ]; then
		say 'there is one already'
		return 0
	fi
	if [ -e "$dir/class-d" ]; then
		"$bin/pdvaultd" init --config "$dir/pdvaultd.conf" --force-class-d 2>>"$dir/log"
	else
		"$bin/pdvaultd" init --config "$dir/pdvaultd.conf" 2>>"$dir/log"
	fi || { tail -n 5 "$dir/log" >&2; fail 'the vault could not be made'; }
	say "store, anchor and key file are made"
}

# The port that a line of the log names: listening PATTERN.
port_of() {
	[ -e "$dir/log" ] || return 0
	sed -n "/\"event\":\"listen\".*$1/s/.*\"other\":\([0-9]*\).*/\1/p" "$dir/log" | head -n 1
}

# One GET without any tool: is the answer's status 200?
ready() {
	local port line=

	port=$(port_of '"what":"http"')
	[ -n "$port" ] || return 1
	{
		{
			printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
			IFS= read -r line <&3
		} 3<>"/dev/tcp/127.0.0.1/$port"
	} 2>/dev/null || true
	[[ $line == 'HTTP/1.'*' 200 '* ]]
}

start() {
	local i pid arguments

	step 'start'
	[ ! -s "$dir/log" ] || mv "$dir/log" "$dir/log.old"
	mapfile -t arguments < <(server_arguments)
	setsid "$bin/pdvaultd" "${arguments[@]}" </dev/null >"$dir/out" 2>"$dir/log" 9>&- &
	pid=$!
	echo "$pid" >"$dir/pdvaultd.pid"
	for ((i = 0; i < 300; i++)); do
		if ready; then
			write_env
			say "server $pid is ready on $PDVAULT_SERVER; its log is $dir/log"
			return 0
		fi
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 5 "$dir/log" >&2
	fail 'the server did not become ready'
}

write_env() {
	local certificates=$dir/certificates name

	export PDVAULT_SERVER="tls+tcp://127.0.0.1:$(port_of '"address":"tls')"
	export PDVAULT_CA=$certificates/ca.pem PDVAULT_CERT=$certificates/operator.pem
	export PDVAULT_KEY=$certificates/operator.key
	{
		for name in PDVAULT_SERVER PDVAULT_CA PDVAULT_CERT PDVAULT_KEY; do
			printf '%s=%q\n' "$name" "${!name}"
		done
		echo 'export PDVAULT_SERVER PDVAULT_CA PDVAULT_CERT PDVAULT_KEY'
	} >"$dir/env"
}

samples() {
	cat >"$dir/accounts.csv" <<-'EOF'
		account,given,family,email,phone,city,country
		1001,Ada,Lindqvist,ada.lindqvist@example.com,+46 8 123 45 67,Stockholm,SE
		1002,Bruno,"Marchetti, Jr.",bruno.marchetti@example.com,+39 (06) 5550 142,Roma,IT
		1003,Chiyo,Tanabe,chiyo.tanabe@example.com,+81-3-5550-0199,Tokyo,JP
	EOF
	cat >"$dir/accounts.map" <<-'EOF'
		[map]
		kind = subjects
		format = csv
		[columns]
		identity.account_ids = account
		identity.name.given = given
		identity.name.family = family
		identity.emails = email
		identity.phones = phone
		identity.postal_addresses.locality = city
		identity.postal_addresses.country = country
	EOF
}

# Shows a command, runs it, and fails unless its exit status is the one expected:
# run STATUS COMMAND...
run() {
	local expected=$1 status=0

	shift
	printf '   $ %s\n' "${*/#"$bin/"/}"
	"$@" >"$dir/out" 2>&1 || status=$?
	sed 's/^/     /' "$dir/out"
	[ "$status" -eq "$expected" ] || fail "exit status $status instead of $expected"
}

# Text of personal data in any file of the vault, in plain: there must be none.
plain_in_files() {
	grep -r -a -l -i -e lindqvist -e marchetti -e tanabe "$dir/store" "$dir/anchor" "$dir/log"
}

demo() {
	local subject erasure

	step 'load sample accounts'
	samples
	run 0 "$bin/pdvault" import "$dir/accounts.csv" --map "$dir/accounts.map" --json
	run 0 "$bin/pdvault" status

	step 'find one by email, typed carelessly, from standard input: command lines can be seen by others'
	run 0 "$bin/pdvault" subject find --email - --json <<<' Bruno.MARCHETTI@Example.com'
	subject=$(grep -o 'sub_[a-z2-7]*' "$dir/out" | head -n 1)

	step 'read it'
	run 0 "$bin/pdvault" subject get "$subject" --json

	step 'update it'
	printf '{"identity": {"phones": ["+39 06 5550 777"]}, "update_mask": ["phones"]}\n' >"$dir/update.json"
	run 0 "$bin/pdvault" subject update "$subject" --input "$dir/update.json"
	run 0 "$bin/pdvault" subject find --phone - <<<'+39 06 5550-777'

	step 'seal a file that is kept elsewhere, so that it dies with them, and open it'
	echo 'what somebody said' >"$dir/chat"
	run 0 "$bin/pdvault" blob seal "$dir/chat" "$dir/chat.blob" --subject "$subject" --category content
	run 0 "$bin/pdvault" blob open "$dir/chat.blob" "$dir/chat.again"
	cmp "$dir/chat" "$dir/chat.again" || fail 'what was opened is not what was sealed'

	rotate

	step 'erase it'
	run 0 "$bin/pdvault" subject erase "$subject" --yes --json
	erasure=$(grep -o 'era_[a-z2-7]*' "$dir/out" | head -n 1)
	run 0 "$bin/pdvault" erasure get "$erasure"

	step 'it is gone: reading says erased (exit status 4), finding finds nothing (3)'
	run 4 "$bin/pdvault" subject get "$subject"
	run 3 "$bin/pdvault" subject find --email - <<<'bruno.marchetti@example.com'
	run 3 "$bin/pdvault" subject find --account 1002

	step 'the file that was kept elsewhere does not open any more (4)'
	run 4 "$bin/pdvault" blob open "$dir/chat.blob" "$dir/chat.again"

	step 'the erasure stands in the ledger, signed; a copy of it is verified without the vault'
	run 0 "$bin/pdvault" ledger export "$dir/ledger"
	run 0 "$bin/pdvault" ledger verify "$dir/ledger"

	step 'the others are still there'
	run 0 "$bin/pdvault" subject find --account 1001

	step 'no name stands in plain text in the files of the vault, nor in its log'
	if plain_in_files; then
		fail 'a name stands in these files'
	fi
	say 'none found'
	disaster
}

# Another key for the seal, and other keys for everybody, while others read: no request fails.
rotate() {
	local load status=0

	step 'other keys for the seal and for everybody, under load'
	"$bin/pdvault-bench" --subjects 2000 --state "$dir/load.ids" --connections 2 --in-flight 8 --rounds 1 \
		--seconds 5 --warm-up 1 >"$dir/load" 2>&1 &
	load=$!
	for _ in {1..100}; do
		! grep -q '^created 2000' "$dir/load" || break
		sleep 0.1
	done
	run 0 "$bin/pdvault" key rotate seal
	run 0 "$bin/pdvault" key rotate subjects --rate full
	wait "$load" || status=$?
	sed 's/^/     /' "$dir/load"
	[ "$status" -eq 0 ] && grep -q '^load .* errors 0 ' "$dir/load" || fail 'a request failed'
	run 0 "$bin/pdvault" seal list
}

# Disks fail; whoever was erased stays erased.
disaster() {
	local erased alive arguments

	step 'back up data and keys, while it serves'
	rm -rf "$dir/backup"
	mkdir "$dir/backup"
	run 0 "$bin/pdvault" backup data "$dir/backup/data"
	run 0 "$bin/pdvault" backup keys "$dir/backup/keys"

	step 'erase somebody who is in both backups'
	alive=$("$bin/pdvault" subject find --account 1001 --json | grep -o 'sub_[a-z2-7]*' | head -n 1)
	erased=$("$bin/pdvault" subject find --account 1003 --json | grep -o 'sub_[a-z2-7]*' | head -n 1)
	run 0 "$bin/pdvault" subject erase "$erased" --yes
	run 0 "$bin/pdvault" ledger export "$dir/ledger"

	step 'lose store, anchor and key file'
	stop
	rm -rf "$dir/store" "$dir/anchor" "$dir/key"

	step 'restore: data, keys, the recovery secret, and the ledger'
	mapfile -t arguments < <(server_arguments)
	arguments[0]=restore
	run 0 "$bin/pdvaultd" "${arguments[@]}" --data "$dir/backup/data" --keys "$dir/backup/keys" \
		--recovery "$dir/recovery" --ledger "$dir/ledger"
	start

	step 'everybody is back'
	run 0 "$bin/pdvault" subject get "$alive"
	step 'but the erased (exit status 4)'
	run 4 "$bin/pdvault" subject get "$erased"
	run 3 "$bin/pdvault" subject find --account 1003
}

if [ -n "$dir" ]; then
	[ "$verb" = stop ] || mkdir -p "$dir"
	# Without the folder there is nothing to stop.
	dir=$(cd "$dir" 2>/dev/null && pwd) || { say 'no server is running'; exit 0; }
fi
if [ "$verb" = stop ]; then
	stop
	exit 0
fi
build
if [ -z "$dir" ]; then
	dir=$(mktemp -d "${TMPDIR:-/tmp}/pdvault-XXXXXX")
	trap 'stop; rm -rf "$dir"' EXIT
elif [ "$verb" = demo ]; then
	trap stop EXIT
fi
if running >/dev/null; then
	step 'the server of before ends first'
	stop
fi
configure
create
start
if [ "$verb" = demo ]; then
	demo
	step 'done'
else
	step "running; end it with: deploy/quickstart.sh --stop --dir $dir"
fi
