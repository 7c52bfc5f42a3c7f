#!/usr/bin/python3
"""Makes seal.txt from docs/FORMAT.md alone, by other code than the vault's.

    /usr/bin/python3 seal.py > seal.txt      (python3-nacl)
"""
import hashlib
import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead


def blake(size, data, key=b""):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def run(start, count, step=1):
    return bytes((start + i * step) % 256 for i in range(count))


def box(key, nonce, context, plain, padded):
    # version, kind, vault, tree, level, index, subject, category, record, key version, zeros
    split = blake(64, nonce + struct.pack(">BB16sBBQ16sBQI7x", 1, *context), key)
    text = plain + b"\x80" + bytes(padded - len(plain) - 1)
    return b"\x01" + nonce + split[32:] + aead(text, b"", nonce, split[:32])


vault, subject, key = run(0x10, 16), run(0x80, 16, 3), run(0x21, 32, 5)
cases = [  # kind, tree, level, index, subject, category, record, version, plain, padded
    ("root_wrap", 1, 0, 0, 7, bytes(16), 0, 0, 0, run(1, 32), 48),
    ("root_page", 2, 0, 0, 0x0102030405060708, bytes(16), 0, 0, 0, run(2, 208), 256),
    ("page", 3, 1, 2, 0x1122334455, bytes(16), 0, 0, 0, run(3, 1032), 1040),
    ("bucket", 4, 2, 11, 0x0FFFFFFFFFFFFFFF, bytes(16), 0, 0, 0, run(4, 214), 224),
    ("keyring", 5, 1, 0, 0xFEDCBA98, bytes(16), 0, 0, 0, run(5, 176), 192),
    ("record", 6, 0, 0, 0, subject, 1, 0, 1, run(6, 63), 64),
    ("transaction", 7, 0, 0, 0, subject, 3, 0x0A0B0C0D0E0F, 0x01020304, run(7, 100), 128),
    ("seals", 9, 0, 0, 0x0102030405060708, bytes(16), 0, 0, 0, run(8, 848), 864),
    ("empty", 6, 0, 0, 0, subject, 8, 1, 0xFFFFFFFF, b"", 1),
]

print("# made by seal.py, docs/FORMAT.md")
print("vault", vault.hex())
print("key", key.hex())
for i, (name, kind, tree, level, index, who, category, record, version, plain, padded) in enumerate(cases):
    nonce = run(i * 24, 24)
    made = box(key, nonce, (kind, vault, tree, level, index, who, category, record, version), plain, padded)
    print("box", name, kind, tree, level, "%016x" % index, who.hex(), category, "%016x" % record, version,
          padded, nonce.hex(), plain.hex() or "-", made.hex())
for label, a, b in [(b"lookup", b"\x01\x00\x00", b"person@example.org"), (b"lookup", b"\x02\x00\x05", b"4930123"),
                    (b"idempotency", b"/pdvault.v1.Vault/UpdateIdentity", run(0, 200)),
                    (b"transaction", b"", b"invoice-1")]:
    head = label.ljust(16, b"\0") + struct.pack(">Q", len(a))
    print("tag", label.decode(), a.hex() or "-", b.hex() or "-", blake(16, head + a + b, key).hex())
print("digest", run(9, 100).hex(), blake(32, run(9, 100)).hex())
