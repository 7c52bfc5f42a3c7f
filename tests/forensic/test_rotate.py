#!/usr/bin/python3 -B
"""F1, F2, F12 and F13 over rotations. After each of them no key of before that is not a living one stands in memory or
in a file; in the end none of all boxes that were ever replaced opens, whatever is tried: every 32-byte window of a
core, of the store's file, the anchor, the key file and the logs, as in test_exhaust.py. What a rotation has replaced
is another key, and what it has not is the same. All keys ever made are distinct; each living one lies in one place. The
key file of before is overwritten where it lay, and so is what the disk may hold of it.

What the vault has signed of each is true, and a control for each kind: the same statement beside the rows of before is
noticed, and so is one byte of it that is changed.
"""
import os
import shutil
import time

import crash
import exhaust_steps as exhaust
import invariants
import lab
import lmdb
import reader
import statements
import tape
import wire
from bed import held, main, need, same, say, step
from lab import key_id
from nacl.signing import SigningKey

PEOPLE = 3
KINDS = ('subjects', 'index', 'tree', 'signing', 'seal')
LAST = 'seal'		# then comes the search without a list of keys, on all that was ever written


def moment(b, name):
    """The vault's files now, opened; all that must be so is."""
    vault = exhaust.moment(b, name)
    invariants.check(vault)
    return vault


def category_keys(vault):
    return {k for p in vault.people.values() for k in p.keys.values()}


def page_keys(vault):
    return {x.key for x in vault.boxes if x.kind in (reader.PAGE, reader.BUCKET, reader.KEYRING)}


def replaced(kind, before, after):
    """Another key wherever the rotation is about it; category keys stay in all others."""
    same(set(before.people), set(after.people), 'who is there')
    need(before.root != after.root, 'the root key is the same')
    if kind == 'subjects':
        need(not category_keys(before) & category_keys(after), 'a category key of before')
        same([sorted(p.records) for p in before.people.values()], [sorted(p.records) for p in after.people.values()],
             'records')
        for ident, p in before.people.items():
            same(p.records, after.people[ident].records, 'what the records hold')
            same(p.transactions, after.people[ident].transactions, 'what the transactions hold')
    else:
        same(category_keys(before), category_keys(after), 'category keys')
    if kind in ('subjects', 'tree'):
        need(not {p.subject_key for p in before.people.values()} & {p.subject_key for p in after.people.values()},
             'a key of a keyring of before')
    if kind == 'tree':
        need(not page_keys(before) & page_keys(after), 'a key of a page of before')
    same(before.index != after.index, kind == 'index', 'another index key')
    need(not {e['tag'] for e in before.entries} & {e['tag'] for e in after.entries} or kind != 'index', 'a tag of before')
    same(before.signing != after.signing, kind == 'signing', 'another signing key')
    same(before.kek != after.kek, kind == 'seal', 'another KEK')


def unreachable(before, after):
    """No living key opens a box of before that is not one of now, and no dead one a box of now."""
    now = {x.data for x in after.boxes}
    live, dead = after.live_keys(), set(before.live_keys()) - set(after.live_keys())
    need(dead, 'no key has died')
    for boxes, keys in (([x for x in before.boxes if x.data not in now], live), (after.boxes, dead)):
        for box in boxes:
            for key in keys:
                try:
                    box.open(key)
                except reader.Closed:
                    continue
                raise lab.bed.Failed(f'F2: a key opens a box of kind {box.kind} from the other side of the rotation')
    return dead


def gone(b, before, after, name):
    """F1: by the registry of all keys, in memory and in every file."""
    living = {key_id(k) for k in after.live_keys()}
    made = b.registered()
    dead = {k: f'purpose {purpose}' for k, purpose in made if k not in living}
    dead.update({key_id(k): what for k, what in before.live_keys().items() if key_id(k) not in living})
    b.image(name)
    found, windows = b.scan([*living, *dead], name, *b.files())
    wrong = sorted({(dead[ident], where) for where, _, ident in found if ident in dead})
    same(wrong, [], 'F1: a key of before the rotation is still there')
    need(key_id(after.root) in {ident for where, _, ident in found if where == name},
         'the live root key is not in the image: the search counts for nothing')
    return len(dead), windows


def one_place(vault):
    """F13: each living key lies in exactly one opened box (the root in none, for it is in the anchor)."""
    plain = [x.open() for x in vault.boxes] + [b''.join(s.key for s in vault.seals)]
    for key, what in vault.live_keys().items():
        same(sum(p.count(key) for p in plain), what != 'root', f'F13: places of a key ({what})')


def distinct(b, vault):
    """F12"""
    ids = [k for k, _ in b.registered()]
    same(len(ids), len(set(ids)), 'F12: keys that were made twice')
    need({key_id(k) for k in vault.live_keys()} <= set(ids), 'F12: living keys that are not registered')
    return len(ids)


# --- the key file ---


def kek_is_nowhere(b, old, line):
    """Of the version before: no file has its bytes, and none that the disk may hold."""
    ident, kek = old
    forms = (kek, kek.hex().encode(), ident.hex().encode())
    files = {n: crash.content(b.path(n)) for n in (*b.files(), 'key')}
    disk = tape.Disk()
    for c in b.calls():
        disk.apply(c)
    for what, image in (('written', disk.written()), ('flushed', disk.flushed())):
        for path, data in image.items():
            if data is not None:
                files[f'{path} as it is {what}'] = b''.join(data[1].values()) if isinstance(data, tuple) else bytes(data)
    need(any(path.startswith(b.path('key')) for path in files), 'the key file is on no tape')
    for name, data in files.items():
        need(not any(f in data for f in forms), f'the KEK of before is in {os.path.basename(name)}')
    need(line.read() != forms[1], 'the file that was held open')
    line.seek(0)
    need(not any(f in line.read() for f in forms), 'the key file of before was not overwritten where it lay')
    same([n for n in os.listdir(b.dir) if n.startswith('key.')], [], 'files beside the key file')


# --- statements ---


def with_row(b, source, target, ident, row):
    """A copy of a vault with that row in jobs."""
    shutil.copytree(source, target)
    with lmdb.open(os.path.join(target, 'store'), max_dbs=len(reader.TABLES)) as env:
        with env.begin(write=True) as txn:
            txn.put(ident, row, db=env.open_db(b'jobs', txn=txn, create=False))
    return reader.read(target)


def untrue(vault, first, why):
    try:
        statements.check(vault, first)
    except statements.Untrue as e:
        need(why in str(e), f'control: "{e}" instead of "{why}"')
        return
    raise lab.bed.Failed(f'control: {why} was not noticed')


def controls(b, kind, before, after, first):
    """The newest statement beside the rows of before; and each part of it changed."""
    job = statements.jobs(reader.read(b.path(after)))[-1]
    same(job.kind, {'seal': statements.SEAL, 'tree': statements.TREE, 'subjects': statements.SUBJECTS,
                    'index': statements.INDEX, 'signing': statements.SIGNING}[kind], 'the kind of the newest job')
    why = {'signing': 'a statement signed by a key to come'}.get(kind, f'{kind}: ')
    untrue(with_row(b, b.path(before), b.path(f'false-{kind}'), job.ident, job.row), first, why)
    for at in (2, 17, 40, 65, statements.SAID + 3):
        row = bytearray(job.row)
        row[at] ^= 1
        untrue(with_row(b, b.path(after), b.path(f'forged-{kind}-{at}'), job.ident, bytes(row)), first,
               'a statement that is not signed')


def rotate(b, kind, first):
    before = moment(b, f'before-{kind}')
    old = (before.ident, before.kek)
    with open(b.path('key'), 'rb') as line:
        job = b.cli('key', 'rotate', kind, '--rate', 'full', '--json').json
        same((job['state'], job['damaged']), ('done', 0), f'the job of {kind}')
        after = moment(b, f'after-{kind}')
        if kind == 'seal':
            kek_is_nowhere(b, old, line)
    replaced(kind, before, after)
    dead = unreachable(before, after)
    count, windows = gone(b, before, after, f'image-{kind}')
    one_place(after)
    made = distinct(b, after)
    same(statements.check(after, first), len(statements.jobs(after)), 'statements')
    held(1, f'{kind}: {len(dead)} keys of before, {count} dead ones, in {windows} windows of memory and files')
    if kind == LAST:
        boxes = exhaust.pieces(b, after)
        found = exhaust.Search(b, boxes, f'core-{kind}')
        now = {x.data for x in after.boxes}
        same(found.opened & now, now, 'control: boxes of now that open')
        same([p.kind for p in boxes if p.data in found.opened - now], [], 'F2: boxes of before that open')
        held(2, f'all rotations: {found.what}')
    held(12, f'{made} keys, no two the same, after {kind}')
    held(13, f'each of {len(after.live_keys())} living keys in one place, after {kind}')
    return after


def run(bin):
    lab.check_build(bin)
    with crash.Bench(bin) as b:
        b.record()
        b.environment['PDV_TAPE_BELOW'] += f':{b.path("key")}:{b.path("key.next")}'
        b.init()
        b.start()
        people = [exhaust.create(b, i) for i in range(PEOPLE)]
        crash.append(b, people[0], 1)
        b.cli('subject', 'erase', people[1], '--category', 'billing', '--yes')
        gone_one = exhaust.create(b, 9)
        b.cli('subject', 'erase', gone_one, '--yes')
        first = bytes(SigningKey(moment(b, 'first').signing).verify_key)
        time.sleep(1.1)		# the time of a category's key is in seconds
        for kind in KINDS:
            step(kind)
            after = rotate(b, kind, first)
            for p in people:
                b.cli('subject', 'get', p)
            b.cli('billing', 'get', people[1], expect=4)
            b.cli('subject', 'get', gone_one, expect=4)
            need(wire.subject_id(gone_one) not in after.people, 'an erased person has a keyring')
        step('controls of the statements')
        for kind in KINDS:
            controls(b, kind, f'before-{kind}', f'after-{kind}', first)
        step('all of them, twice, and a restart')
        for _ in range(2):
            b.cli('key', 'rotate', 'all')
        same(b.stop(), 0, 'exit status')
        b.start()
        last = moment(b, 'last')
        same(statements.check(last, first), len(statements.jobs(last)), 'statements')
        one_place(last)
        say(f'{distinct(b, last)} keys, epoch {last.epoch}, {len(statements.jobs(last))} statements')
        same(b.stop(), 0, 'exit status')
        b.quiet(exhaust.MARK, 'rook')


main(run)
