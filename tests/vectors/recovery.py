#!/usr/bin/python3
"""Makes recovery.txt from docs/FORMAT.md alone, by other code than the vault's: the file of a secret, and its
shares, any three of five. The pair is Bob's in RFC 7748, 6.1.

    /usr/bin/python3 recovery.py > recovery.txt
"""
import hashlib

NEEDED, SHARES = 3, 5
SECRET = bytes.fromhex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')
PUBLIC = bytes.fromhex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')
SPLIT = bytes(range(0xa0, 0xa8))


def times(a, b):
    """In GF(2^8) with the polynomial 0x11d."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11d
        b >>= 1
    return product


def value(polynomial, x):
    """Of coefficients from the lowest on."""
    total, power = 0, 1
    for coefficient in polynomial:
        total ^= times(coefficient, power)
        power = times(power, x)
    return total


def checked(*lines):
    text = ''.join(line + '\n' for line in lines)
    return text + f'check {hashlib.blake2b(text.encode(), digest_size=32).digest()[:8].hex()}\n'


print('# made by recovery.py: a secret and its shares, docs/FORMAT.md, each behind a line with its name', end='\n\n')
print('secret', end='\n\n')
print(checked('pdvault recovery secret 1', f'public {PUBLIC.hex()}', f'secret {SECRET.hex()}'))
polynomials = [[byte, *((i * 37 + j * 101 + 5) % 256 for j in range(1, NEEDED))] for i, byte in enumerate(SECRET)]
for n in range(1, SHARES + 1):
    share = bytes(value(p, n) for p in polynomials)
    print(f'share.{n}', end='\n\n')
    print(checked('pdvault recovery share 1', f'public {PUBLIC.hex()}', f'split {SPLIT.hex()}',
                  f'share {n} of {SHARES}, any {NEEDED}', f'data {share.hex()}'))
