#!/usr/bin/python3 -B
"""The power of a real machine is cut, under mixed load and while it recovers: the vault runs in a guest of its
own, whose kernel is killed with all that it had not given to its disks (guest.py), and whose disks may lose
what they were not told to flush. Then it must serve again, with no acknowledged write lost, no erased
subject back, one valid slot, and everything must open to the independent reader. The control: files that
were not flushed are gone.

SEED=n in the environment repeats a run, as far as time lets it; nightly_powercut.py cuts more often.
"""
import power_steps
from lab import bed

bed.main(lambda bin: power_steps.run(bin, 'LsL'))
