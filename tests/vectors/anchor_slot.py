#!/usr/bin/python3
"""Makes anchor_slot.txt from docs/FORMAT.md alone, by other code than the vault's.

    /usr/bin/python3 anchor_slot.py > anchor_slot.txt      (python3-nacl)
"""
import hashlib
import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead

BLOCK, STRIPES = 4096, 65536


def blake(size, data, key=b""):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def run(start, count):
    return bytes((start + i) % 256 for i in range(count))


vault, epoch = run(0x10, 16), 0x0102030405060709
commitment, root = run(0x40, 32), run(0xA0, 32)
providers = [  # id, name, kek, nonce of its box
    (run(0x60, 16), b"file", run(0xC0, 32), run(0, 24)),
    (run(0x70, 16), b"thirty-one-characters-of-a-name", run(0xE0, 32), run(24, 24)),
]
stripes = bytes((i * 131 + (i >> 8) * 29 + 7) % 256 for i in range(STRIPES))


def context(kind):
    # version, kind, vault, tree, level, index, subject, category, record, key version, zeros
    return struct.pack(">BB16sBBQ16sBQI7x", 1, kind, vault, 0, 0, epoch, bytes(16), 0, 0, 0)


def wrap(kek, nonce):
    key = blake(32, b"pdvault wrap" + blake(32, stripes), kek)
    split = blake(64, nonce + context(1), key)
    plain = root + b"\x80" + bytes(15)
    return b"\x01" + nonce + split[32:] + aead(plain, b"", nonce, split[:32])


head = struct.pack(">8sHH4x16sQ32s24x", b"pdvslot", 1, len(providers), vault, epoch, commitment)
for ident, name, kek, nonce in providers:
    head += struct.pack(">16s32s121s23x", ident, name, wrap(kek, nonce))
head = head.ljust(BLOCK - 32, b"\0")
head += blake(32, head + blake(32, stripes))

print("# made by anchor_slot.py: one slot with two providers, docs/FORMAT.md")
print("# stripe i is (i * 131 + (i >> 8) * 29 + 7) mod 256")
print("vault", vault.hex())
print("epoch", "%016x" % epoch)
print("commitment", commitment.hex())
print("root", root.hex())
for ident, name, kek, nonce in providers:
    print("provider", ident.hex(), name.decode(), kek.hex(), nonce.hex())
print("head", head[:480].hex())
print("checksum", head[-32:].hex())
print("slot_blake2b_256", blake(32, head + stripes).hex())
