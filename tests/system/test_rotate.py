#!/usr/bin/python3 -B
"""Rotations of all keys while the vault serves: no request fails, kill -9 at any point loses nothing and leaves no key
of before, and changes of the seals that are killed at each call leave a vault that each seal opens alone.

SEED=n in the environment repeats a run; nightly_rotate.py does more of all this.
"""
import rotate_steps
from bed import main


def run(bin):
    with rotate_steps.Vault(bin) as b:
        rotate_steps.under_load(b, 1)
    with rotate_steps.Vault(bin) as b:
        rotate_steps.killed(b, kills=100, seconds=25)
    rotate_steps.seals(bin, stride=4)


main(run)
