#!/usr/bin/python3 -B
"""kill -9 in a loop under mixed load; after each one a start that checks everybody who was touched, and at times
everybody: no acknowledged write lost, no erased subject back, what was not acknowledged is there whole or not
at all, finding agrees with reading, the counts agree. Some kills come before the server is even ready.

KILLS=n and SEED=n in the environment ask for others than usual.
"""
import contextlib
import os
import random
import subprocess
import sys
import time

import bed
from bed import need, same, say, step

sys.path.insert(0, os.path.join(bed.ROOT, 'tests', 'forensic'))

import invariants	# noqa: E402
import reader	# noqa: E402

KILLS = int(os.environ.get('KILLS', '200'))
SEED = int(os.environ.get('SEED', '0')) or random.randrange(1, 1 << 31)
ALL_EVERY = 25


class Churn:
    def __init__(self, b):
        self.process = subprocess.Popen([os.path.join(b.bin, 'system_churn'), str(SEED)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env={**os.environ, **settings(b)})

    def ask(self, *words):
        with contextlib.suppress(BrokenPipeError):	# it has ended, and its last line says why
            self.process.stdin.write(' '.join(words) + '\n')
            self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        need(answer, 'churn has died')
        need(answer[0] != 'wrong', ' '.join(answer))
        return [int(n) for n in answer[1:]]

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(bed.PATIENCE)
        self.process.stdout.close()
        return status


def settings(b):
    # nng forgets a TLS dialer once in hundreds of handles that end while their server dies.
    return {'ASAN_OPTIONS': 'detect_leaks=0', 'PDVAULT_CA': b.pki.path('ca.pem'),
            'PDVAULT_CERT': b.pki.path('operator.pem'), 'PDVAULT_KEY': b.pki.path('operator.key')}


def cycle(b, churn, chance, everybody):
    """Start, check, load, kill: how many writes were acknowledged, and of how many nobody knows."""
    while chance.random() < 0.08:
        b.spawn()		# dies while it starts or recovers
        time.sleep(chance.uniform(0, 0.12))
        b.kill()
    b.start()
    checked, = churn.ask('check', b.url, 'all' if everybody else 'touched')
    churn.ask('load', b.url)
    time.sleep(chance.uniform(0.02, 0.15))
    b.kill()
    acknowledged, unknown = churn.ask('stop')
    return checked, acknowledged, unknown


def run(bin):
    chance = random.Random(SEED)
    step(f'{KILLS} kills (SEED={SEED})')
    began = time.monotonic()
    checked = acknowledged = unknown = 0
    with bed.Bed(bin) as b:
        b.conf['vault'].update(map_size='4G')
        b.init()
        churn = Churn(b)
        try:
            for n in range(KILLS):
                figures = cycle(b, churn, chance, n % ALL_EVERY == ALL_EVERY - 1)
                checked += figures[0]
                acknowledged += figures[1]
                unknown += figures[2]
            b.start()
            people, = churn.ask('check', b.url, 'all')
            same(b.metric('pdvault_integrity_errors_total'), 0, 'integrity errors')
            status = b.status()
            same(churn.end(), 0, 'exit status of churn')
            same(b.stop(), 0, 'exit status')
        finally:
            churn.process.kill()
            churn.process.wait()
        b.quiet('churn.example', 'account-')
        counted = invariants.check(reader.read(b.dir))
        same((counted['subjects'], counted['erased']), (status['subjects'], status['erased']), 'what a reader finds')
    need(acknowledged > KILLS * 5, 'there was hardly any load')
    need(unknown > KILLS, 'the kills hit nothing')
    say(f'{people} people, {status["erased"]} erased, epoch {status["epoch"]}; {acknowledged} writes '
        f'acknowledged, {unknown} cut off; {checked} checks after kills; {time.monotonic() - began:.0f} s')


if __name__ == '__main__':
    bed.main(run)
