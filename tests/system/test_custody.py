#!/usr/bin/python3 -B
"""Several files of the anchor, with the real programs: any one opens, all are erased; `anchor verify`, `anchor
move` and `recover --previous`, and who runs them the wrong way.
"""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'forensic'))

import bed	# noqa: E402
import reader	# noqa: E402
from bed import main, need, same, step	# noqa: E402

FAILED, USAGE, CONFIGURATION, REFUSED = 1, 2, 3, 4
ERASED = 4
ANCHORS = ('anchor', 'second', 'third')


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def put(path, data):
    """In place."""
    with open(path, 'r+b') as f:
        f.write(data)


def slots(path):
    """The epochs of a file's valid slots."""
    data = content(path)
    found = [reader.Slot(data[at:at + reader.SLOT]) for at in (0, reader.SLOT)]
    return sorted(s.epoch for s in found if s.valid)


def person(b, name):
    return b.create({'name': {'full': name}, 'emails': [f'{name}@pawns.example']})


def epoch(b):
    return b.status()['epoch']


def several(b):
    b.conf['anchor']['copies'] = 'second, third'
    b.init()
    b.start()
    ids = [person(b, f'a{i}') for i in range(3)]
    b.cli('subject', 'erase', ids.pop(), '--yes')
    now = epoch(b)
    for name in ANCHORS:
        same(slots(b.path(name)), [now], f'slots of {name}')
    same(b.daemon('anchor', 'verify'), REFUSED, 'verify beside the server')
    same(b.stop(), 0, 'exit status')
    same(b.daemon('anchor', 'verify'), 0, 'verify')
    same(b.said.count(': ok\n'), 3, 'files that are well')
    for name in ANCHORS[:2]:
        put(b.path(name), os.urandom(len(content(b.path(name)))))
    same(b.daemon('anchor', 'verify'), FAILED, 'verify, two damaged')
    same((b.said.count(': ok\n'), b.said.count(': NOT USABLE\n')), (1, 2), 'files')
    b.start()
    for i in ids:
        b.cli('subject', 'get', i)
    for name in ANCHORS:
        same(slots(b.path(name)), [now], f'slots of {name}, from the third')
    same(b.stop(), 0, 'exit status')
    return ids


def missing(b):
    os.rename(b.path('second'), b.path('away'))
    b.refuses(CONFIGURATION, 'second')
    with open(b.path('second'), 'wb', opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(b'short')
    same(b.daemon('check'), CONFIGURATION, 'check')
    need('has the wrong length' in b.said, b.said)
    os.rename(b.path('away'), b.path('second'))
    b.conf['anchor']['copies'] = 'second, second'
    b.refuses(REFUSED, 'named twice')
    same(b.daemon('check'), CONFIGURATION, 'check')
    need('the same file as' in b.said, b.said)
    b.conf['anchor']['copies'] = 'second, third'


def half_a_seal(b):
    for lines, why in (({'kind': 'fil'}, 'none of file'), ({'kind': 'file'}, 'the key path'),
                       ({'kind': 'passphrase', 'path': 'words'}, 'the key secret'),
                       ({'kind': 'passphrase', 'path': 'words', 'secret': 'env:HOME'}, 'none of fd:N'),
                       ({'kind': 'pkcs11', 'path': 'hsm', 'secret': 'ask'}, 'module or token')):
        b.conf['seal other'] = lines
        same(b.daemon('check'), CONFIGURATION, f'check with {lines}')
        need(re.search(f'seal other: .*{why}', b.said), b.said)
    del b.conf['seal other']


def wrong_words(b):
    for words in (('anchor',), ('anchor', 'mvoe'), ('recover',), ('recover', '--from', 'x'),
                  ('run', '--previous'), ('anchor', 'verify', '--from', 'x'), ('anchor', 'verify', 'more')):
        done = subprocess.run(b.command(*words), capture_output=True, check=False)
        same(done.returncode, USAGE, f'exit status of {words}')
    same(b.daemon('recover', '--previous'), REFUSED, 'recover without a reason')
    same(b.daemon('anchor', 'move'), REFUSED, 'nothing to be left, and no move to be ended')


def cut_off(b, ids):
    """The mark that a move leaves when it is cut off."""
    with open(b.path('store/anchor.moving'), 'w', encoding='ascii') as f:
        f.write('x')
    b.refuses(REFUSED, 'anchor move is not through')
    same(b.daemon('check'), CONFIGURATION, 'check')
    need('anchor move is not through' in b.said, b.said)
    same(b.daemon('anchor', 'verify'), 0, 'verify')
    need('a start would be refused: anchor move is not through' in b.said, b.said)
    same(b.daemon('anchor', 'move'), 0, 'the move is ended')
    b.start()
    for i in ids:
        b.cli('subject', 'get', i)
    same(b.stop(), 0, 'exit status')


def move(b, ids):
    old = {name: content(b.path(name)) for name in ANCHORS}
    shutil.copytree(b.path('store'), b.path('store.before'))
    b.conf['anchor'] = {'path': 'fourth'}
    b.refuses(CONFIGURATION, 'fourth')
    words = [w for name in ANCHORS for w in ('--from', b.path(name))]
    same(b.daemon('anchor', 'move', *words[:2], '--from', b.path('nowhere')), CONFIGURATION, 'no such file')
    same(b.daemon('anchor', 'move', *words), 0, 'move')
    same(b.said.count('overwritten'), 3, 'files that were overwritten')
    for name in ANCHORS:
        same(slots(b.path(name)), [], f'slots of {name}')
        whole = content(b.path(name))
        need(not any(whole[i:i + 64] == old[name][i:i + 64] for i in range(0, len(whole), 64)), 'old bytes')
    b.start()
    for i in ids:
        b.cli('subject', 'get', i)
    same(b.stop(), 0, 'exit status')
    # The anchor of before, if somebody kept it, opens what was there then, and nothing of now.
    for store, opens in (('store.before', True), ('store', False)):
        folder = b.path(f'finder-{store}')
        os.mkdir(folder)
        shutil.copytree(b.path(store), os.path.join(folder, 'store'))
        shutil.copy(b.path('key'), folder)
        with open(os.path.join(folder, 'anchor'), 'wb') as f:
            f.write(old['anchor'])
        try:
            reader.read(folder)
        except reader.Closed:
            need(not opens, 'control: the old anchor does not open the old store')
            continue
        need(opens, 'the old anchor opens the store of now')


def previous(b, ids):
    b.start()
    before, now = content(b.path('fourth')), epoch(b)
    b.cli('subject', 'erase', ids[0], '--yes')
    b.kill()
    after = content(b.path('fourth'))
    put(b.path('fourth'), before)
    for _ in range(2):
        b.refuses(REFUSED, 'previous_only')
    same(b.daemon('recover', '--previous'), 0, 'recover')
    need('erasures in it: 1: ask for them AGAIN' in b.said, b.said)
    b.start()
    same(epoch(b), now, 'epoch')
    b.cli('subject', 'get', ids[0])
    b.cli('subject', 'erase', ids[0], '--yes')
    b.cli('subject', 'get', ids[0], expect=ERASED)
    same(b.stop(), 0, 'exit status')
    put(b.path('fourth'), after)		# of the future that was given up
    b.refuses(REFUSED, 'recovery_refused')


def run(bin):
    with bed.Bed(bin) as b:
        step('three files: any one opens, all are written and erased')
        ids = several(b)
        step('one is missing, one is named twice')
        missing(b)
        half_a_seal(b)
        step('the wrong words')
        wrong_words(b)
        step('anchor move')
        move(b, ids)
        step('a move that was cut off')
        cut_off(b, ids)
        step('recover --previous')
        previous(b, ids)
        b.quiet('pawns.example')


main(run)
