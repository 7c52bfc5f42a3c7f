#!/usr/bin/python3 -B
"""test_crash.py with many more disks for each call."""
import crash_steps
from bed import main

main(lambda bin: crash_steps.run(bin, thorough=True))
