#!/usr/bin/python3
"""Backups in the hands of an attacker, with the recovery secret; restores that are cut off at every call, and on a full
disk. Who was erased before is in none of them, and nobody who was erased comes back (R1 to R5).
"""
import contextlib
import errno
import os
import shutil

import backup_reader
import invariants
import lab
import reader
import tape
import wire
from lab import bed
from bed import held, need, same, say, step

MARK = 'Marker Of Backups'
REFUSED = 4
BAD = (1, 3, REFUSED)
FORMS = ('utf-8', 'utf-16-le')


def person(b, n):
    return b.create({'name': {'full': f'{MARK} {n}'}, 'emails': [f'backups{n}@marker.example']})


def opens(keys, subject, *data):
    try:
        return MARK.encode() in keys.identity(wire.subject_id(subject), *data)
    except reader.Closed:
        return False


def files(folder):
    return [os.path.join(at, n) for at, _, names in os.walk(folder) for n in names]


def attack(b, people):
    """Every backup, and the recovery secret: exactly those alive at the backup of keys open."""
    step('an attacker with all backups and the recovery secret')
    b.cli('subject', 'erase', people[0], '--yes')
    b.cli('backup', 'data', b.path('data'))
    b.cli('backup', 'keys', b.path('keys'))
    b.cli('subject', 'erase', people[1], '--yes')
    later = person(b, 50)
    b.cli('backup', 'data', b.path('data.1'), '--since', b.path('data'))
    keys = backup_reader.Keys(b.path('keys'), b.path('recovery'))
    chain = b.path('data'), b.path('data.1')
    need(not opens(keys, people[0], *chain[:1]), 'F20: somebody who was erased before the backup of keys opens')
    need(not opens(keys, later, *chain), 'F20: somebody who came after the backup of keys opens')
    for n in range(1, len(people)):		# the positive control, the one erased since among them
        need(opens(keys, people[n], *chain[:1]), f'F20: {n} was alive at the backup of keys, and does not open')
    need(not opens(keys, people[1], *chain), 'the increment has a record of somebody who was erased')
    made = b.registered()
    found, windows = b.scan({ident for ident, _ in made}, *(os.path.relpath(f, b.dir) for f in
                                                            files(b.path('data')) + files(b.path('keys'))))
    same(found, [], 'F6: keys in plain in the files of a backup')
    for path in files(b.path('data')) + files(b.path('keys')):
        data = open(path, 'rb').read()
        need(not any(m.encode(f) in data for m in (MARK, '@marker.example') for f in FORMS), f'F5: {path}')
    say(f'{windows} windows of the files of the backups, {len(made)} keys')
    held(9, 'backups of both kinds, with the recovery secret: those alive open, those erased before do not')
    return later


def destroyed(b, people):
    shutil.copytree(b.path('keys'), b.path('kept'))
    with open(b.path('kept', 'root.sealed'), 'r+b') as f:	# the same file, so that what overwrites it is seen
        inode = os.fstat(f.fileno()).st_ino
    b.cli('backup', 'keys', b.path('keys.2'))
    os.link(b.path('keys', 'root.sealed'), b.path('same file'))
    b.cli('backup', 'destroy', b.path('keys'), '--yes')
    need(inode != os.stat(b.path('same file')).st_ino, 'the copy is another file')
    os.rename(b.path('same file'), b.path('keys', 'root.sealed'))
    try:
        backup_reader.Keys(b.path('keys'), b.path('recovery'))
    except reader.Closed:
        say('what stands in the place of the sealed root key opens nothing')
    else:
        raise bed.Failed('a backup of keys that was destroyed opens')
    need(opens(backup_reader.Keys(b.path('kept'), b.path('recovery')), people[2], b.path('data')),
         'the copy of it does open: the control')


def arguments(b):
    return ['--data', b.path('data'), '--data', b.path('data.1'), '--keys', b.path('keys.2'), '--recovery',
            b.path('recovery'), '--ledger', b.path('ledger')]


def clear(b):
    shutil.rmtree(b.path('store'), ignore_errors=True)
    for name in ('anchor', 'key'):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(b.path(name))


def judge(b, people, erased):
    vault = reader.read(b.dir)
    for n in erased:
        need(wire.subject_id(people[n]) not in vault.people, 'a key of somebody who was erased is back')
    invariants.check(vault)
    same(len(vault.people), len(people) - len(erased), 'who is back')
    return vault


def restored(b, people, erased, dead):
    """On the new disk there is no key of theirs, and what was there before does not fit to it."""
    step('what a restore leaves on the disk')
    shutil.copytree(b.path('store'), b.path('old store'))
    clear(b)
    same(b.daemon('restore', *arguments(b)), 0, 'exit status of restore')
    judge(b, people, erased)
    found, _ = b.scan(dead, 'store/data.mdb', 'anchor')
    same(found, [], 'F1: keys of the erased on the disk of the restored vault')
    os.rename(b.path('store'), b.path('new store'))
    os.rename(b.path('old store'), b.path('store'))
    same(b.daemon('run'), REFUSED, 'F21: the store of before under the anchor of the restored vault')
    shutil.rmtree(b.path('store'))
    os.rename(b.path('new store'), b.path('store'))
    held(21, 'the store of before is refused under the anchor of the restored vault')


def recorded(b, **more):
    env = tape.environment(b.bin, b.path('tape'), b.path('store'), b.path('anchor'), b.path('key'), **more)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(b.path('tape'))
    b.environment.update(env)
    status = b.daemon('restore', *arguments(b))
    for name in env:
        del b.environment[name]
    return status


def interrupted(b, people, erased):
    """Stopped in place of each call, or on a full disk from there on (R2, R5)."""
    step('a restore that is cut off at every call')
    clear(b)
    same(recorded(b), 0, 'exit status of restore')
    calls = len(tape.read(b.path('tape')))
    marked = full = 0
    for n in range(1, calls + 1):
        clear(b)
        status = recorded(b, PDV_TAPE_STOP=str(n))
        need(status != 0 or n == calls, f'call {n}: restore ended with {status}')
        if os.path.exists(b.path('store', 'restore.unfinished')):
            b.refuses(REFUSED, 'a restore is not through')
            marked += 1
        elif os.path.exists(b.path('store', 'data.mdb')):
            judge(b, people, erased)		# it was through
            continue
        if n % 5 == 0:
            same(b.daemon('restore', *arguments(b)), 0, f'restore again after call {n}')
            judge(b, people, erased)
    held(22, f'a restore cut off at each of {calls} calls: {marked} times a mark, never served')
    step('a restore on a disk that fills')
    for n in range(1, calls + 1, 2):
        clear(b)
        status = recorded(b, PDV_TAPE_FAIL=str(n), PDV_TAPE_TIMES='1', PDV_TAPE_ERROR=str(errno.ENOSPC))
        marked = os.path.exists(b.path('store', 'restore.unfinished'))
        if os.path.exists(b.path('store', 'data.mdb')) and not marked:
            judge(b, people, erased)		# it was through, though it may not have been sure
            continue
        need(status in BAD, f'call {n}: restore ended with {status}')
        need(marked or not os.path.exists(b.path('anchor')), f'call {n}: an anchor is left, and no mark')
        full += 1
        same(b.daemon('restore', *arguments(b)), 0, f'restore again after call {n} failed')
    say(f'{full} of {(calls + 1) // 2} failures ended it')
    clear(b)
    same(b.daemon('restore', *arguments(b)), 0, 'exit status of restore')


def run(bin):
    with lab.Lab(bin) as b:
        key = b.cli_alone('recovery', 'new', '--out', b.path('recovery'), '--json').json['recovery_key']
        b.conf['backup'] = {'recovery_key': key}
        b.init()
        b.start()
        people = [person(b, n) for n in range(40)]
        before = reader.Vault(b.path('store'), b.path('anchor'), b.path('key'))
        dead = {lab.key_id(k) for n in (0, 1, 2) for p in [before.people[wire.subject_id(people[n])]]
                for k in (*p.keys.values(), p.subject_key)}
        people.append(attack(b, people))
        destroyed(b, people)
        b.cli('subject', 'erase', people[2], '--yes')
        b.cli('ledger', 'export', b.path('ledger'))
        b.stop()
        erased = [0, 1, 2]
        restored(b, people, erased, dead)
        interrupted(b, people, erased)
        b.start()
        for n, subject in enumerate(people):
            b.cli('subject', 'get', subject, expect=4 if n in erased else 0)


bed.main(run)
