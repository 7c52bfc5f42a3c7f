#!/usr/bin/python3
"""Copies of the ledger that the server keeps: each erasure gets into all of them, whatever becomes of their places."""
import os

import bed
from bed import same, soon, step

HEAD, ITEM = 64, 163
LATE = 503


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def person(b, name):
    return b.create({'name': {'full': name}, 'emails': [f'{name}@copies.example']})


def erase(b, count, made=[0]):	# noqa: B006
    for _ in range(count):
        made[0] += 1
        b.cli('subject', 'erase', person(b, f'vagrant{made[0]}'), '--yes')
    return made[0]


def whole(b, name, entries):
    """The copy comes to have so many entries, and is what the vault itself exports."""
    path = b.path(name)
    soon(lambda: os.path.exists(path) and os.path.getsize(path) == HEAD + entries * ITEM, f'{name} is whole')
    same(b.cli('ledger', 'verify', path, '--json').json['entries'], entries, f'entries of {name}')


def said(b, name):
    return [e['what'] for e in b.events(b.lives) if e['event'] == 'ledger_copy' and e['path'] == b.path(name)]


def lacks(b, entries):
    soon(lambda: b.metric('pdvault_ledger_lag_entries') == entries, f'the worst copy lacks {entries} entries')


def outage(b):
    """A place that is not there, and comes: late, told once, and then made good."""
    count = erase(b, 2)
    whole(b, 'near', count)
    soon(lambda: b.get('/readyz') == (LATE, 'LEDGER_COPY_LATE\n'), '/readyz says that a copy is late')
    lacks(b, count)
    same(said(b, 'mount/far'), ['cannot be opened'], 'what the log says')
    same(said(b, 'near'), ['lies on the store\'s own device, and goes with it'], 'what the log says')
    os.mkdir(b.path('mount'))
    whole(b, 'mount/far', count)
    soon(lambda: b.get('/readyz')[0] == 200, '/readyz')
    lacks(b, 0)
    same([what for what in said(b, 'mount/far') if 'device' not in what], ['cannot be opened', 'works again'],
         'what the log says')
    same(content(b.path('mount/far')), content(b.path('near')), 'the copies')


def gone(b):
    """The place is taken away while it runs, as when its volume is: no copy is made in what is beneath."""
    os.rename(b.path('mount'), b.path('elsewhere'))
    os.mkdir(b.path('mount'))
    count = erase(b, 1)
    whole(b, 'near', count)
    soon(lambda: 'is gone; only a start makes it anew' in said(b, 'mount/far'), 'the log says that it is gone')
    same(os.listdir(b.path('mount')), [], 'what is beneath')
    lacks(b, count)
    os.rmdir(b.path('mount'))
    os.rename(b.path('elsewhere'), b.path('mount'))
    whole(b, 'mount/far', count)


def killed(b):
    """kill -9 between any two steps: nothing is missing afterwards, and nothing is there twice."""
    for cut in (1, ITEM - 1, ITEM, 2 * ITEM + 9):
        count = erase(b, 2)
        b.kill()
        os.truncate(b.path('near'), os.path.getsize(b.path('near')) - cut)
        b.start()
        whole(b, 'near', count)
        whole(b, 'mount/far', count)
    os.truncate(b.path('near'), 10)		# while it was made
    soon(lambda: 'was removed, replaced or changed' in said(b, 'near'), 'it is noticed')
    whole(b, 'near', count)


def ended(b):
    """SIGTERM: what was answered is in the copies when it ends."""
    count = erase(b, 3)
    same(b.stop(), 0, 'exit status')
    for name in ('near', 'mount/far'):
        same(len(content(b.path(name))), HEAD + count * ITEM, f'{name} after the end')
    return count


def refused(b, count):
    """What is no copy of this ledger is left alone."""
    near = content(b.path('near'))
    other = bytearray(near)
    other[HEAD + (count - 1) * ITEM + 20] ^= 1		# the newest entry
    for wrong, why in ((bytes(other), 'has entries that the vault has not'),
                       (near + near[-ITEM:], 'has entries that the vault has not'),
                       (b'notes', 'is not a copy of this vault\'s ledger'),
                       (b'x' * 200, 'is not a copy of this vault\'s ledger'),
                       (near[:16] + bytes(48) + near[HEAD:], 'is not a copy of this vault\'s ledger')):
        with open(b.path('near'), 'wb') as f:
            f.write(wrong)
        b.start()
        soon(lambda: any(why in what for what in said(b, 'near')), f'the log says: {why}')
        soon(lambda: b.get('/readyz')[0] == LATE, '/readyz')
        same(b.stop(), 0, 'exit status')
        same(content(b.path('near')), wrong, 'the file')
    os.remove(b.path('near'))
    os.mkdir(b.path('near'))
    b.start()
    soon(lambda: said(b, 'near') == ['cannot be opened'], 'a folder in its place')
    same(b.stop(), 0, 'exit status')
    os.rmdir(b.path('near'))
    b.conf['ledger']['copies'] = 'near, ./near'
    b.start()
    soon(lambda: any('is locked' in what for name in ('near', './near') for what in said(b, name)), 'named twice')
    whole(b, 'near', count)
    same(b.stop(), 0, 'exit status')
    b.conf['ledger']['copies'] = 'a, b, c, d, e'
    b.refuses(3)


def run(bin):
    with bed.Bed(bin) as b:
        b.conf['ledger'] = {'copies': 'near, mount/far', 'late_after': '1s'}
        b.init()
        b.start()
        step('a place that is not there, and comes')
        outage(b)
        step('a place that goes')
        gone(b)
        step('kill -9, and files that were cut off')
        killed(b)
        step('SIGTERM')
        count = ended(b)
        step('files that are no copies')
        refused(b, count)
        b.quiet('vagrant', 'copies.example')


bed.main(run)
