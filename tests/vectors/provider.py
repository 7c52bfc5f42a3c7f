#!/usr/bin/python3
"""Makes provider.txt from docs/FORMAT.md alone, by other code than the vault's: what seals keep, and the id and
KEK that come of it.

    /usr/bin/python3 provider.py > provider.txt      (python3-nacl)
"""
import hashlib
import struct

from nacl.pwhash import argon2id

PASSPHRASE, OPERATIONS, KIB = 'korrekt Pferd Batterie Heftklammer ä', 2, 64


def run(start, count):
    return bytes((start + i) % 256 for i in range(count))


def derived(secret):
    kek = hashlib.blake2b(b'pdvault seal'.ljust(16, b'\0') + secret, digest_size=32).digest()
    head = b'seal id'.ljust(16, b'\0') + bytes(8)
    return hashlib.blake2b(head, digest_size=16, key=kek).digest(), kek


def show(kind, content, ident, kek):
    print(kind, content.hex(), ident.hex(), kek.hex())


print('# made by provider.py, docs/FORMAT.md: kind, content of its file or of the credential, id, KEK')
print('passphrase', PASSPHRASE.encode().hex())
ident, kek = run(0x60, 16), run(0xc0, 32)
show('file', f'pdvault-key-1 {ident.hex()} {kek.hex()}\n'.encode(), ident, kek)
salt = run(0x30, 16)
hashed = argon2id.kdf(32, PASSPHRASE.encode(), salt, opslimit=OPERATIONS, memlimit=KIB << 10)
show('words', b'pdvpass1' + salt + struct.pack('>II', OPERATIONS, KIB), *derived(hashed))
for content in (run(0, 32), run(7, 100)):
    show(f'credential{len(content)}', content, *derived(content))
