#!/usr/bin/python3 -B
"""test_random.py with 10 000 shreds."""
import random_steps
from bed import main

main(lambda bin: random_steps.run(bin, lives=8, count=1252))
