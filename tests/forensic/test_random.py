#!/usr/bin/python3 -B
"""F12: over many shreds and some restarts no key, root, nonce or stripe comes twice, in all bytes ever written; with
a random source that is constant, repeats itself or fails the vault does not start, or ends with the first nonce
that comes again. nightly_random.py does 10 000 shreds.
"""
import random_steps
from bed import main

main(lambda bin: random_steps.run(bin, lives=3, count=400))
