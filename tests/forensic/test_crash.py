#!/usr/bin/python3 -B
"""F15 to F19: the power goes, or the process ends, or a call fails, at each call of a short history, and at
each call of the recovery after it. From what the disk may hold then the real server must serve all that was
acknowledged, nothing of half a request, and nobody who was erased; with one valid slot in the anchor, and no
key that opens what an erasure closed. F26: store or anchor from before a switch beside the other is refused.

SEED=n in the environment repeats a run; nightly_crash.py draws more disks for each call.
"""
import crash_steps
from bed import main

main(lambda bin: crash_steps.run(bin, thorough=False))
