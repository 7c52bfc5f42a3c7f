#!/usr/bin/python3 -B
"""test_rotate.py with ten times as many kills, and at every call of a change of the seals."""
import rotate_steps
from bed import main


def run(bin):
    with rotate_steps.Vault(bin) as b:
        rotate_steps.under_load(b, 10)
    with rotate_steps.Vault(bin) as b:
        rotate_steps.killed(b, kills=1000, seconds=1200)
    rotate_steps.seals(bin, stride=1)


main(run)
