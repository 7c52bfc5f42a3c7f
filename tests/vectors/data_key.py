#!/usr/bin/python3
"""Makes data_key.txt from docs/FORMAT.md alone, by other code than the vault's.

    /usr/bin/python3 data_key.py > data_key.txt      (python3-nacl)
"""
import hashlib
import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead


def blake(size, data, key=b""):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def run(start, count, step=1):
    return bytes((start + i * step) % 256 for i in range(count))


def wrap(place, context, nonce, data_key):
    vault, subject, category, version, key = place
    under = blake(32, b"pdvault data keys" + blake(32, context), key)
    bound = struct.pack(">BB16s10x16sB8xI7x", 1, 8, vault, subject, category, version)
    split = blake(64, nonce + bound, under)
    box = b"\x01" + nonce + split[32:] + aead(data_key + b"\x80" + bytes(15), b"", nonce, split[:32])
    return struct.pack(">BH", 1, version) + box


vault, subject, key = run(0x10, 16), run(0x80, 16, 3), run(0x21, 32, 5)
print("# made by data_key.py, docs/FORMAT.md")
print("vault", vault.hex())
print("subject", subject.hex())
print("key", key.hex())
for i, (category, version, context) in enumerate([(4, 1, b""), (4, 1, b"chat 1"), (5, 0x0102, run(0, 256)),
                                                  (5, 65535, b"\0")]):
    data_key = run(0x40 + i, 32, 7)
    print("wrapped", category, version, context.hex() or "-", data_key.hex(),
          wrap((vault, subject, category, version, key), context, run(i * 24, 24), data_key).hex())
