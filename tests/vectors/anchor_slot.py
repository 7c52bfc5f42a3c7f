#!/usr/bin/python3
"""Makes anchor_slot.txt from docs/FORMAT.md alone, by other code than the vault's. The recovery key is Bob's pair in
RFC 7748, 6.1.

    /usr/bin/python3 anchor_slot.py > anchor_slot.txt      (python3-nacl)
"""
import hashlib
import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead
from nacl.bindings import crypto_box, crypto_scalarmult_base

BLOCK, STRIPES, WRAPS, WRAP, MOST = 4096, 65536, 96, 256, 8
KEK, RECOVERY = 1, 2
ROOT_WRAP, SEALS = 1, 9
SECRET = bytes.fromhex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')


def blake(size, data, key=b""):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def run(start, count):
    return bytes((start + i) % 256 for i in range(count))


vault, epoch = run(0x10, 16), 0x0102030405060709
commitment, root = run(0x40, 32), run(0xA0, 32)
public = crypto_scalarmult_base(SECRET)
lasting, dead_class = 0x0102030405060000, b"B"
seals = [  # kind, id, name, key, since, made
    (KEK, run(0x60, 16), b"file", run(0xC0, 32), 0x0102030405060708, 1700000000000),
    (RECOVERY, run(0x70, 16), b"thirty-one-characters-of-a-name", public, 1, 1600000000001),
]
# As if all that is random were one row that counts up: 0, 1, 2 ...
first_nonce, slot_kek, ephemeral, second_nonce, seals_nonce = run(0, 24), run(24, 32), run(56, 32), run(88, 24), run(112, 24)
stripes = bytes((i * 131 + (i >> 8) * 29 + 7) % 256 for i in range(STRIPES))
digest = blake(32, stripes)


def box(key, kind, nonce, plain, padded):
    # version, kind, vault, tree, level, index, subject, category, record, key version, zeros
    context = struct.pack(">BB16sBBQ16sBQI7x", 1, kind, vault, 0, 0, epoch, bytes(16), 0, 0, 0)
    split = blake(64, nonce + context, blake(32, b"pdvault wrap" + digest, key))
    text = (plain + b"\x80").ljust(padded, b"\0")
    return b"\x01" + nonce + split[32:] + aead(text, b"", nonce, split[:32])


def sealed(plain):
    """libsodium's sealed box, of its parts."""
    mine = crypto_scalarmult_base(ephemeral)
    return mine + crypto_box(plain, blake(24, mine + public), public, ephemeral)


keks = [(run(0xC0, 32), first_nonce, b""), (slot_kek, second_nonce, sealed(slot_kek))]
head = struct.pack(">8sHH4x16sQ32s24x", b"pdvslot", 2, len(seals), vault, epoch, commitment)
for (kind, ident, name, *_), (kek, nonce, for_recovery) in zip(seals, keks):
    head += struct.pack(">16s32s121sB80s6x", ident, name, box(kek, ROOT_WRAP, nonce, root, 48), kind, for_recovery)
head = head.ljust(WRAPS + MOST * WRAP, b"\0")
plain = struct.pack(">Bc6xQ", len(seals), dead_class, lasting)
for kind, ident, name, key, since, made in seals:
    plain += struct.pack(">16s32sB7x32sQQ", ident, name, kind, key, since, made)
head += box(root, SEALS, seals_nonce, plain.ljust(848, b"\0"), 864)
used = len(head)
head = head.ljust(BLOCK - 32, b"\0")
head += blake(32, head + digest)

print("# made by anchor_slot.py: one slot with a KEK and a recovery key, docs/FORMAT.md")
print("# stripe i is (i * 131 + (i >> 8) * 29 + 7) mod 256; random bytes are 0, 1, 2 ... in the order of nonce,")
print("# KEK of the slot, ephemeral key of the sealed box, nonce, nonce of the seals")
print("vault", vault.hex())
print("epoch", "%016x" % epoch)
print("commitment", commitment.hex())
print("root", root.hex())
print("lasting", "%016x" % lasting)
print("dead", dead_class.hex())
for kind, ident, name, key, since, made in seals:
    print("seal%d" % kind, ident.hex(), name.decode(), key.hex(), "%016x" % since, "%016x" % made)
print("secret", SECRET.hex())
print("seals", plain.ljust(848, b"\0").hex())
print("head", head[:used].hex())
print("checksum", head[-32:].hex())
print("slot_blake2b_256", blake(32, head + stripes).hex())
