#!/usr/bin/python3
"""Makes blob.txt from docs/FORMAT.md alone, by other code than the client library's: ChaCha20 (RFC 8439), HChaCha20
(draft-irtf-cfrg-xchacha-03), Poly1305 and the stream itself are written out here.

    /usr/bin/python3 blob.py > blob.txt
"""
import hashlib
import struct

CHUNK = 65536


def run(start, count, step=1):
    return bytes((start + i * step) % 256 for i in range(count))


def rounds(s):
    def rotate(x, n):
        return (x << n | x >> 32 - n) & 0xffffffff

    def quarter(a, b, c, d):
        s[a] = s[a] + s[b] & 0xffffffff
        s[d] = rotate(s[d] ^ s[a], 16)
        s[c] = s[c] + s[d] & 0xffffffff
        s[b] = rotate(s[b] ^ s[c], 12)
        s[a] = s[a] + s[b] & 0xffffffff
        s[d] = rotate(s[d] ^ s[a], 8)
        s[c] = s[c] + s[d] & 0xffffffff
        s[b] = rotate(s[b] ^ s[c], 7)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(a, b, c, d)
    return s


WORDS = struct.unpack('<4I', b'expand 32-byte k')


def hchacha20(key, nonce):
    s = rounds([*WORDS, *struct.unpack('<8I', key), *struct.unpack('<4I', nonce)])
    return struct.pack('<8I', *s[:4], *s[12:])


def block(key, counter, nonce):
    s = [*WORDS, *struct.unpack('<8I', key), counter, *struct.unpack('<3I', nonce)]
    return struct.pack('<16I', *(a + b & 0xffffffff for a, b in zip(rounds(s[:]), s)))


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def chacha20(key, counter, nonce, data):
    return b''.join(xor(data[i:i + 64], block(key, counter + i // 64, nonce)) for i in range(0, len(data), 64))


def poly1305(key, data):
    r, s = int.from_bytes(key[:16], 'little') & 0x0ffffffc0ffffffc0ffffffc0fffffff, int.from_bytes(key[16:], 'little')
    a = 0
    for i in range(0, len(data), 16):
        a = (a + int.from_bytes(data[i:i + 16] + b'\x01', 'little')) * r % ((1 << 130) - 5)
    return (a + s & (1 << 128) - 1).to_bytes(16, 'little')


class Stream:
    def __init__(self, key, header):
        self.key, self.nonce = hchacha20(key, header[:16]), struct.pack('<I', 1) + header[16:]

    def push(self, data, tag):
        first = chacha20(self.key, 1, self.nonce, bytes([tag]) + bytes(63))
        sealed = chacha20(self.key, 2, self.nonce, data)
        mac = poly1305(block(self.key, 0, self.nonce)[:32], first + sealed + bytes(len(data) % 16) +
                       struct.pack('<QQ', 0, 64 + len(data)))
        number = struct.unpack('<I', self.nonce[:4])[0] + 1
        self.nonce = struct.pack('<I', number) + xor(self.nonce[4:], mac[:8])
        return first[:1] + sealed + mac


def blob(subject, category, context, wrapped, key, header, data):
    said = b'pdvblob1' + subject + bytes([category]) + struct.pack('>H', len(context)) + context
    stream, chunks = Stream(key, header), [data[i:i + CHUNK] for i in range(0, len(data), CHUNK)] or [b'']
    commitment = hashlib.blake2b(said, digest_size=32, key=key).digest()
    out = said + commitment + struct.pack('>H', len(wrapped)) + wrapped + header
    for i, chunk in enumerate(chunks):
        out += stream.push(chunk, 3 if i + 1 == len(chunks) else 0)
    return out


print('# made by blob.py, docs/FORMAT.md: data is run(start, length), a blob over 1000 bytes its BLAKE2b-256')
for n, (category, context, wrapped, start, length) in enumerate([
        (4, b'', 124, 0, 0), (4, b'chat 1', 124, 1, 1), (5, run(0, 256), 256, 2, 100), (5, b'\0', 1, 3, 63),
        (4, b'x', 124, 4, CHUNK), (4, b'x', 124, 5, CHUNK + 1), (5, b'', 124, 6, 2 * CHUNK + 77)]):
    subject, key, header = run(0x80 + n, 16, 3), run(0x21 + n, 32, 5), run(0x60 + n, 24, 7)
    made = blob(subject, category, context, run(n, wrapped), key, header, run(start, length))
    print('blob', subject.hex(), category, context.hex() or '-', run(n, wrapped).hex(), key.hex(), start, length,
          len(made), made.hex() if len(made) <= 1000 else hashlib.blake2b(made, digest_size=32).hexdigest(),
          header.hex())
