#!/usr/bin/python3 -B
"""test_powercut.py with more cuts, several of them one after the other while it recovers; and with an anchor
of two files, on drives that lose their caches each for itself.
"""
import power_steps
from lab import bed


def run(bin):
    power_steps.run(bin, 'LsLlttLsslLtLsLl')
    power_steps.run(bin, 'LstLLsttlLssLtL', anchors=2)


bed.main(run)
