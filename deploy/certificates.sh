#!/usr/bin/env bash
# Development certificates with the openssl tool: a CA, the server's for localhost, and one for each
# client named. What is there already stays. For production use the CA that you have.
# Usage: deploy/certificates.sh FOLDER CLIENT...
set -euo pipefail
umask 077

[ $# -ge 2 ] || { echo "usage: $0 FOLDER CLIENT..." >&2; exit 2; }
mkdir -p "$1"
cd "$1"
shift
domain=pdvault.example
days=365

# new_key NAME: NAME.key, P-256.
new_key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
}

# issue NAME USAGE NAMES: NAME.key and NAME.pem, signed by the CA.
issue() {
	local name=$1 usage=$2 names=$3

	[ ! -s "$name.pem" ] || return 0
	new_key "$name"
	openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
	openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -days "$days" -out "$name.pem" \
		-set_serial "0x$(openssl rand -hex 16 | sed 's/^./1/')" -extfile <(
			printf '%s\n' 'basicConstraints = critical, CA:FALSE' \
				'keyUsage = critical, digitalSignature' \
				"extendedKeyUsage = $usage" "subjectAltName = $names" \
				'subjectKeyIdentifier = hash' 'authorityKeyIdentifier = keyid'
		) 2>/dev/null
	rm "$name.csr"
}

if [ ! -s ca.pem ]; then
	new_key ca
	openssl req -x509 -new -key ca.key -days "$days" -subj '/CN=pdvault development CA' -out ca.pem \
		-addext 'basicConstraints = critical, CA:TRUE, pathlen:0' \
		-addext 'keyUsage = critical, keyCertSign, cRLSign'
fi
issue server serverAuth "DNS:localhost, IP:127.0.0.1, IP:::1, URI:spiffe://$domain/vault"
for client in "$@"; do
	issue "$client" clientAuth "URI:spiffe://$domain/$client"
	echo "$PWD/$client.pem is for spiffe://$domain/$client"
done
