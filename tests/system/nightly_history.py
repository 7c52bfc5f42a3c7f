#!/usr/bin/python3
"""Five hundred random histories with backups and restores (history.py)."""
import bed
import history


def run(bin):
    history.many(bin, 500, 500)


bed.main(run)
