#!/usr/bin/python3 -B
"""F2: every box that was ever written to the store, with every key that lives after an erasure and every key that
lies in what these open, to the end: what was erased stays closed, old pages stay closed, the living open. F4: the
same with all that could be had before the subject was created. F9: copies by cp, mdb_copy, mdb_copy -c and
mdb_dump, and the snapshot of the meta page before. F5 to F7: no text and no raw key among all bytes written, also by
requests that were refused. F13: each key lies in one place. Each has its control: with the root key of the moments
between the same search opens the erased one.

The tape itself is compared with what strace sees.
"""
import collections
import json
import os
import re
import shutil
import subprocess

import crash
import finder
import lab
import marks
import reader
import tape
import wire
from lab import bed
from bed import held, main, need, same, say, step
from reader import KEYRING, RECORD, TRANSACTION

VICTIM, PARTLY, UPDATED, LONG = 1, 2, 0, 3
PEOPLE, CROWD = 4, 36		# the crowd: a second page of the tree, and a split bucket


# --- strace ---


CALLS = {'write': 'write', 'pwrite64': 'write', 'writev': 'write', 'pwritev': 'write', 'pwritev2': 'write',
         'fsync': 'flush', 'fdatasync': 'flush', 'ftruncate': 'truncate', 'fallocate': 'allocate',
         'sync_file_range': 'range', 'msync': 'msync', 'rename': 'rename', 'renameat': 'rename',
         'renameat2': 'rename', 'unlink': 'unlink', 'unlinkat': 'unlink'}
# What could change a file and is not recorded: it must not be there.
OTHERS = ('truncate', 'sendfile', 'copy_file_range', 'splice', 'tee', 'vmsplice', 'io_uring_setup', 'io_submit',
          'link', 'linkat', 'symlink', 'process_vm_writev', 'ioctl')
# Questions. FIEMAP may also write out what is cached, but is not taken for a flush.
QUESTIONS = ('FS_IOC_FIEMAP', 'FS_IOC_GETFLAGS')


def straced(b, out):
    """The command that starts the server under strace and the recorder; strace itself is not recorded."""
    more = [f'-E{k}={v}' for k, v in b.environment.items() if k.startswith(('PDV_TAPE', 'LD_PRELOAD'))]
    b.unrecorded()
    return ['strace', '-D', '-f', '-qq', '-y', '-s', '0', '-o', out, '-e',
            'trace=' + ','.join([*CALLS, *OTHERS]), *more]


def lines_of(path):
    """Whole calls; those that were cut in two by another thread are joined, where they began."""
    whole, open_ones = [], {}
    with open(path, encoding='utf-8', errors='replace') as f:
        for line in f:
            pid, _, text = line.rstrip('\n').partition(' ')
            text = text.strip()
            if text.endswith('<unfinished ...>'):
                open_ones[pid] = len(whole)
                whole.append(text[:-len('<unfinished ...>')])
            elif text.startswith('<... ') and pid in open_ones:
                whole[open_ones.pop(pid)] += text.partition('resumed>')[2]
            else:
                whole.append(text)
    return whole


def seen_by_strace(b, path):
    """[(what, file, result)] of calls on the vault's files, and names of calls that nobody records."""
    seen, others = [], []
    roots = (b.path('store'), b.path('anchor'))
    for line in lines_of(path):
        m = re.match(r'(\w+)\(', line)
        result = re.search(r'= (-?\d+)', line)
        if m is None or result is None:
            continue
        file = re.search(r'\(\d+<([^>]*)>', line)
        if m[1] in OTHERS:
            if (file is None or file[1].startswith(roots)) and not any(f', {q},' in line for q in QUESTIONS):
                others.append(line)
        elif file is not None and file[1].startswith(roots):
            seen.append((CALLS[m[1]], file[1], int(result[1])))
        elif file is None and any(r in line for r in roots):
            seen.append((CALLS[m[1]], '', int(result[1])))
    return seen, others


def compared(b, calls, path):
    seen, others = seen_by_strace(b, path)
    taped = [(tape.NAMES[c.kind], c.path, c.result) for c in calls if tape.NAMES[c.kind] in CALLS.values()]
    need(len(seen) > 30, 'strace has seen nothing')
    for file in {f for _, f, _ in [*seen, *taped]}:
        same([x for x in taped if x[1] == file], [x for x in seen if x[1] == file], f'calls on {file}')
    same(others, [], 'calls that change files and are not recorded')
    kinds = collections.Counter(kind for kind, _, _ in seen)
    say(f'strace and the tape agree in order, file and result: {dict(kinds)}')
    maps = {os.path.basename(c.path): 'writable' if c.flags & 2 else 'read-only' for c in calls if c.kind == tape.MAP}
    same(maps, {'lock.mdb': 'writable', 'data.mdb': 'read-only'}, 'shared maps')
    say(f'not seen: what goes through the map of lock.mdb (LMDB\'s table of readers); stdio. Maps: {maps}')


def under_strace(b):
    if shutil.which('strace') is None or subprocess.run(['strace', '-o', '/dev/null', 'true'], check=False).returncode:
        say('strace is not here, or may not trace: the tape was NOT compared')
        return
    b.record()
    b.start(*straced(b, b.path('strace')))
    text = crash.create(b, 4)
    crash.append(b, text, 4)
    crash.erase(b, text)
    process = b.process.pid
    same(b.stop(), 0, 'exit status')
    bed.soon(lambda: not traced(process, b.path('strace')), 'strace has ended')
    compared(b, b.calls(), b.path('strace'))


def traced(pid, path):
    """Whether somebody still writes the trace of that process."""
    for other in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{other}/cmdline', 'rb') as f:
                if f'\0{path}\0'.encode() in f.read():
                    return True
        except OSError:
            continue
    return False


# --- F2, F4 ---


class Story:
    """People come and go, recorded from the first byte on; the vault's files at three moments."""

    def __init__(self, b):
        self.b = b
        b.record()
        b.init()
        b.start()
        self.ids = [crash.create(b, 0)]
        crash.append(b, self.ids[0], 0)
        for i in range(PEOPLE + 1, PEOPLE + 1 + CROWD):
            b.create({'name': {'full': crash.MARK}, 'emails': [crash.email(i)]})
        self.earlier = Moment(b, 'earlier')
        for i in range(1, PEOPLE):
            self.ids.append(crash.create(b, i))
            crash.append(b, self.ids[i], i)
        for i in (UPDATED, VICTIM):
            crash.update(b, self.ids[i], locale='de')
            crash.update(b, self.ids[i], emails=[f'new{i}@bishops.example'])
        attributes = {f'a{n}': 'x' * 900 for n in range(5)}
        for i in (LONG, VICTIM):		# pages of their own
            crash.update(b, self.ids[i], attributes=attributes)
        self.refused()
        self.between = Moment(b, 'between')
        crash.erase(b, self.ids[PARTLY], '--category', 'billing')
        self.just_before = Moment(b, 'just-before')
        crash.erase(b, self.ids[VICTIM])
        self.after = Moment(b, 'after')
        self.calls = b.calls()

    def refused(self):
        """F7: requests that get as far as the writer and end there."""
        whole = {'name': {'full': crash.MARK}, 'emails': [crash.email(0) + '.new', crash.email(LONG)]}
        self.b.cli('subject', 'create', '--input', '-', expect=7, text=json.dumps({'identity': whole}))
        for change in ({'emails': [crash.email(LONG)]}, {'locale': 'fr', 'name': {'full': crash.MARK}}):
            self.b.cli('subject', 'update', self.ids[VICTIM], '--input', '-', expect=7, text=json.dumps(
                {'identity': change, 'etag': '999'}))

    def person(self, i):
        return wire.subject_id(self.ids[i])


class Moment:
    def __init__(self, b, name):
        self.folder = b.path(name)
        reader.copy(b.dir, self.folder)
        self.vault = reader.read(self.folder)
        self.keys = set(self.vault.live_keys())


def pieces_of(story, find):
    return find.pieces(story.after.vault.vault, story.after.vault.epoch)


def targets(story, pieces):
    """What must stay closed: all of the erased person, billing of the partly erased one."""
    victim = story.just_before.vault.people[story.person(VICTIM)].slot
    partly = story.between.vault.people[story.person(PARTLY)].slot
    found = []
    for p in pieces:
        subjects = {c[28:44] for c in p.contexts}
        if p.slot == victim and p.kind in (KEYRING, RECORD, TRANSACTION):
            found.append(p)
        elif p.slot == partly and p.category == 3:
            found.append(p)
        elif p.slot is None and p.kind == RECORD and story.person(VICTIM) in subjects:
            found.append(p)
    return found


def is_victims(story, piece, ctx):
    """A box that opened, by its context: was it the erased person's, or of the erased category?"""
    subject, category = ctx[28:44], ctx[44]
    slots = {story.just_before.vault.people[story.person(VICTIM)].slot}
    return (subject == story.person(VICTIM) or (subject == story.person(PARTLY) and category == 3) or
            (piece.kind == KEYRING and piece.slot in slots))


def search(story, pieces, keys, what):
    opened, known, tried = finder.open_all(pieces, keys)
    mine = [p for p, (ctx, _) in opened.items() if is_victims(story, p, ctx)]
    say(f'{what}: {len(keys)} keys, {len(known)} in the end; {len(opened)} of {len(pieces)} boxes open, of the '
        f'erased {len(mine)} ({tried} tries)')
    return opened, mine


def complete(story, pieces):
    """The control of the finder: all boxes that the reader saw at any moment are on the tape."""
    found = {p.data for p in pieces}
    for m in (story.earlier, story.between, story.just_before, story.after):
        for box in m.vault.boxes:
            need(box.data in found, f'a box of kind {box.kind} that is in the store and not on the tape')


def on_tape(story):
    find = finder.Find()
    find.add_tape(story.calls, story.b.path(crash.STORE))
    pieces = pieces_of(story, find)
    complete(story, pieces)
    closed = targets(story, pieces)
    kinds = collections.Counter(p.kind for p in closed)
    need(all(kinds[k] >= n for k, n in ((KEYRING, 1), (RECORD, 5), (TRANSACTION, 2))), f'boxes of the erased: {kinds}')
    say(f'{len(find.rows)} rows and {len(find.long)} long values ever written; {len(pieces)} boxes')

    opened, mine = search(story, pieces, story.after.keys, 'F2, keys of after')
    same(mine, [], 'F2: boxes of the erased that open')
    now = {b.data for b in story.after.vault.boxes}
    need(now <= {p.data for p in opened}, 'what lives does not open')
    old = [p for p in opened if p.data not in now and p.kind not in (RECORD, TRANSACTION)]
    same([p.kind for p in old], [], 'F2: pages and keyrings of older epochs that open')

    _, mine = search(story, pieces, story.earlier.keys, 'F4, keys of before they were there')
    same(mine, [], 'F4: boxes of the erased that open')
    _, mine = search(story, pieces, story.earlier.keys | story.after.keys, 'F2 and F4 together')
    same(mine, [], 'F2, F4: boxes of the erased that open')

    held(2, f'{len(pieces)} boxes that were ever written')
    held(4, 'keys of before, all boxes that were ever written')
    for m, what in ((story.between, 'the root of between'), (story.just_before, 'the root just before')):
        opened, mine = search(story, pieces, {m.vault.root}, f'control, {what}')
        need({b.data for b in m.vault.boxes} <= {p.data for p in opened}, 'control: what lived then')
        need({RECORD, TRANSACTION, KEYRING} <= {p.kind for p in mine}, 'control: the erased does not open')
        need(any(len(p.data) > finder.LONG for p in mine), 'control: the long record does not open')
        one_parent(opened)
    return find, pieces


def one_parent(opened):
    """F13: of all boxes that one root leads to, each key lies in one."""
    places = collections.Counter(k for p, (_, plain) in opened.items() for k in finder.keys_in(p.kind, plain))
    same([n for n in places.values() if n != 1], [], 'F13: keys that lie in several places')
    held(13, f'{len(places)} keys')


# --- F5, F6, F7 ---


def in_the_open(story):
    """No key ever made, and no text, in any byte that was written to the store. A key that this test puts at the
    end is found: the control."""
    b, root = story.b, story.after.vault.root
    data = b''.join(c.data for c in story.calls if c.kind == tape.WRITE and c.path == b.path(crash.STORE))
    with open(b.path('written'), 'wb') as f:
        f.write(data + root)
    ids = {lab.key_id(story.after.vault.kek), *(k for k, _ in b.registered())}
    found, windows = b.scan(ids, 'written')
    same(found, [('written', len(data), lab.key_id(root))], 'F6: keys that were written to the store')
    need(not marks.found(data, [crash.MARK, 'bishops.example', 'x' * 40]), 'F5: text that was written to the store')
    held(5, f'{len(data)} bytes written to the store')
    held(6, f'{len(ids)} keys in none of {windows} windows')
    held(7, 'the same, with requests that were refused')


# --- F9 ---


def tool(*args):
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    need(done.returncode == 0, f'{args[0]}: {done.stderr}')
    return done.stdout


def copies(story, find):
    b, store = story.b, story.b.path('store')
    found = {}

    def of_file(name):
        found[name] = f = finder.Find()
        f.add_bytes(0, crash.content(b.path(name, 'data.mdb')))
    shutil.copytree(store, b.path('cp'))
    of_file('cp')
    for name, more in (('mdb_copy', ()), ('mdb_copy -c', ('-c',))):
        os.mkdir(b.path(name))
        tool('mdb_copy', *more, store, b.path(name))
        of_file(name)
    found['mdb_dump'] = f = finder.Find()
    text = tool('mdb_dump', '-a', store)
    f.add_dump(text)
    for name, f in found.items():
        # Only the whole file has what was freed; whose a slot was is known from the tape.
        rows = len(f.rows)
        need(name == 'mdb_dump' or f.rows <= find.rows, f'{name}: rows that were never written')
        f.rows |= {(k, v) for k, v in find.rows if len(k) == 16}
        pieces = pieces_of(story, f)
        opened, mine = search(story, pieces, story.after.keys | story.earlier.keys, f'F9, {name}, {rows} rows')
        same(mine, [], f'F9: {name}: boxes of the erased that open')
        need({x.data for x in story.after.vault.boxes} <= {p.data for p in opened}, f'{name}: what lives')
    _, mine = search(story, pieces_of(story, found['cp']), {story.just_before.vault.root}, 'control, cp')
    need(mine, 'control: free pages of the copy hold nothing of the erased')
    held(9, ', '.join(found))


def previous_meta(story):
    """The meta page before the last one leads to the store of before the erasure."""
    for moment, opens in ((story.after, False), (story.just_before, True)):
        folder = story.b.path(f'previous-{opens}')
        shutil.copytree(story.after.folder, folder)
        shutil.copy(os.path.join(moment.folder, 'anchor'), os.path.join(folder, 'anchor'))
        with open(os.path.join(folder, crash.STORE), 'r+b') as f:
            commits = [int.from_bytes(f.read(4096)[144:152], 'little') for _ in range(2)]
            f.seek(4096 * commits.index(max(commits)) + 144)
            f.write(bytes(8))		# its number: LMDB takes the greater one
        try:
            vault = reader.read(folder)
        except reader.Closed:
            need(not opens, 'control: the store of before does not open with the anchor of before')
            continue
        need(opens, 'F9: the meta page before opens')
        need(story.person(VICTIM) in vault.people, 'control: the erased one is not there')
    held(9, 'the meta page before opens with the anchor of before (control), and not with that of after')


def run(bin):
    lab.check_build(bin)
    with crash.Bench(bin) as b:
        step(f'{PEOPLE + CROWD} people, recorded')
        story = Story(b)
        step('F2, F4: every box that was ever written')
        find, _ = on_tape(story)
        step('F5, F6, F7: keys and text in all that was ever written')
        in_the_open(story)
        step('F9: copies')
        previous_meta(story)
        copies(story, find)
        same(b.stop(), 0, 'exit status')
        b.unrecorded()
        step('the tape beside strace')
        under_strace(b)
        b.quiet(crash.MARK, 'bishop')


main(run)
