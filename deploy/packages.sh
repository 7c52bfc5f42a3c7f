#!/usr/bin/env bash
# The one list of the Debian 12 packages that pdvault needs; installs those that are missing.
#   deploy/packages.sh build | test | nightly     what each needs, with what stands before it
#   deploy/packages.sh --list SET                 prints the names only
set -euo pipefail

build=(cmake gcc libc6-dev libcsv-dev libgfshare-dev libinih-dev libjansson-dev
	liblmdb-dev libmicrohttpd-dev libnng-dev libp11-kit-dev libprotobuf-c-dev libsodium-dev
	libssl-dev libtss2-dev libutf8proc-dev ninja-build openssl pkg-config protobuf-c-compiler)
test=(binutils btrfs-progs e2fsprogs gdb kmod libcmocka-dev lmdb-utils mount procps python3 python3-lmdb
	python3-nacl softhsm2 spin strace swtpm tshark user-mode-linux xfsprogs)
nightly=(clang clang-tidy libclang-rt-14-dev llvm)

of() {
	case "$1" in
	build) printf '%s\n' "${build[@]}" ;;
	test) printf '%s\n' "${build[@]}" "${test[@]}" ;;
	nightly) printf '%s\n' "${build[@]}" "${test[@]}" "${nightly[@]}" ;;
	*) echo "usage: $0 [--list] build|test|nightly" >&2; exit 2 ;;
	esac
}

if [ "${1:-}" = --list ]; then
	of "${2:-}"
	exit 0
fi
missing=()
for package in $(of "${1:-}"); do
	status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	[ "$status" = 'install ok installed' ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

echo "installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || {
		echo "not root, and no sudo: install them yourself, then run this again" >&2
		exit 1
	}
	as_root=(sudo)
fi
# A list of yesterday names packages that are gone today.
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
	"${missing[@]}"
