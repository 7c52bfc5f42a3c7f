#!/usr/bin/python3
"""Twenty random histories with backups and restores (history.py)."""
import bed
import history


def run(bin):
    history.many(bin, 20, 500)
    bed.held(20, 'backups from all over 20 histories, restored: exactly the living are readable')


bed.main(run)
