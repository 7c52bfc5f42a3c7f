"""What test_crash.py and nightly_crash.py share: a short history of a vault on tape, disks as they may have been at
each point of it, and what must be so when the real server starts on one.

A disk must show all that was acknowledged before its point, and of the request that was under way all or nothing.
"""
import json
import os
import random

import finder
import invariants
import lab
import reader
import tape
import wire
from lab import bed
from bed import need, same

MARK = 'Marker Of Bishops'
SEED = int(os.environ.get('SEED', '0')) or random.randrange(1, 1 << 31)
ANSWER = range(41, 1000)	# bytes that are sent: less is a greeting or a farewell, more a handshake
READS = ('Vault.GetSubject', 'Vault.GetIdentity', 'Vault.GetBilling', 'Vault.ListTransactions')
STORE, ANCHOR = 'store/data.mdb', 'anchor'


def email(i):
    return f'bishop{i}@bishops.example'


EMAILS = [email(i) for i in range(5)] + ['other@bishops.example']


class Bench(lab.Lab):
    """A vault that can be recorded, and whose files can be exchanged for others."""

    def __init__(self, bin):
        super().__init__(bin)
        self.people, self.erasures, self.number = {}, [], bytes(2)
        self.tapes = 0

    def record(self, **more):
        """What is started from here on is recorded, on a tape of its own."""
        self.tapes += 1
        self.tape_path = self.path(f'tape.{self.tapes}')
        self.environment.update(tape.environment(self.bin, self.tape_path, self.path('store'),
                                                 self.path('anchor'), **more))

    def unrecorded(self):
        for name in [n for n in self.environment if n.startswith('PDV_TAPE') or n == 'LD_PRELOAD']:
            del self.environment[name]

    def calls(self):
        return tape.read(self.tape_path)

    def names(self):
        return [self.path(STORE), self.path(ANCHOR)]

    def put(self, image):
        for name in self.names():
            tape.put(image[name], name)
        with open(self.path('store/lock.mdb'), 'wb'):
            pass		# readers of the life before: LMDB makes it anew

    def held(self):
        return {name: content(name) for name in self.names()}

    def serves(self, why):
        """Starts on what lies there; a refusal is a failure, with the name of the row."""
        try:
            self.start()
        except bed.Failed as e:
            said = [x.get('what', x['event']) for x in self.events(self.lives)]
            raise bed.Failed(f'{why}: {e}; the log says {said[-2:]}') from e


def content(path):
    with open(path, 'rb') as f:
        return f.read()


# --- what the vault says of everybody ---


def observe(b):
    """Every answer about everybody that the history knows, and about a stranger."""
    stranger = b.number + bytes(14)
    seen = {}
    with wire.Peer(b) as p:
        def ask(key, method, message):
            a = p.call(method, message)
            seen[key] = (a.code, a.reason, a.message)
        for who, subject in [*b.people.items(), (None, stranger)]:
            for method in READS:
                ask((who, method), method, wire.field(1, subject))
        for e in EMAILS:
            ask(e, 'Vault.FindSubject', wire.field(1, e))
        for erasure in [*b.erasures, bytes(16)]:
            ask(erasure, 'Rights.GetErasure', wire.field(1, erasure))
    return seen


def differences(seen, state):
    """Where an observation differs from one of the history; who was not there then is a stranger."""
    wrong = []
    for key, answer in seen.items():
        known = key if key in state else (None, key[1]) if isinstance(key, tuple) else bytes(16)
        if answer != state[known]:
            wrong.append(f'{key}: {answer[:2]} instead of {state[known][:2]}')
    return wrong


# --- the history ---


def create(b, i, name=None):
    identity = {'name': {'full': f'{MARK} {i}'}, 'emails': [email(i)]}
    text = b.create(identity, {'legal_name': f'{MARK} {i}', 'tax_id': f'TAX{i}'})
    b.people[name or f'person {i}'] = wire.subject_id(text)
    return text


def append(b, subject, i):
    b.cli('transaction', 'append', subject, '--input', '-', text=json.dumps({'transactions': [
        {'id': f't{i}', 'time': '2024-02-03T04:05:06Z', 'currency': 'EUR', 'amount_minor': i}]}))


def update(b, subject, **identity):
    b.cli('subject', 'update', subject, '--input', '-', text=json.dumps({'identity': identity}))


def erase(b, subject, *more):
    answer = b.cli('subject', 'erase', subject, *more, '--yes', '--json').json
    same(answer['state'], 'SHREDDED', 'the erasure')
    b.erasures.append(wire.subject_id(answer['erasure']))


class Deed:
    """One request of the history: the calls from first on are its own, with the one at acknowledged it was
    answered; state is what was seen after it. before: the vault's boxes and keys, for an erasure."""

    def __init__(self, name, first):
        self.name, self.first = name, first
        self.acknowledged = self.state = self.before = None


class History:
    """Runs it, recorded; the server is left running."""

    def __init__(self, b):
        self.b = b
        self.deeds = []
        b.record()
        b.init()
        b.number = reader.read(b.dir).rows['meta'][b'vault'][16:18]
        b.start()
        self.beginning = len(b.calls())
        self.nothing = observe(b)
        ids = [None] * 5

        def made(i, name=None):
            ids[i] = create(b, i, name)
        for i in range(3):
            self.deed(f'create {i}', made, i)
        self.deed('append', append, b, ids[1], 1)
        self.deed('update a record', update, b, ids[0], locale='de')
        self.deed('update a look-up', update, b, ids[0], emails=[EMAILS[-1]])
        self.deed('erase a category', erase, b, ids[2], '--category', 'billing', keeps=True)
        self.deed('erase a person', erase, b, ids[1], keeps=True)
        self.deed('create again', made, 1, 'person 1 again')

    def deed(self, name, function, *args, keeps=False, **more):
        before = Before(self.b) if keeps else None
        d = Deed(name, len(self.b.calls()))
        function(*args, **more)
        calls = self.b.calls()
        answers = [n for n in range(d.first, len(calls)) if calls[n].kind == tape.SEND and
                   calls[n].length in ANSWER]
        need(answers, f'{name}: no answer on the tape')
        d.acknowledged, d.before, d.state = answers[-1], before, observe(self.b)
        self.deeds.append(d)

    def state(self, count):
        return self.deeds[count - 1].state if count > 0 else self.nothing

    def allowed(self, n):
        """How many deeds may be seen on a disk on which the calls before n were made."""
        done = sum(d.acknowledged < n for d in self.deeds)
        begun = sum(d.first < n for d in self.deeds)
        return range(done, begun + 1)


class Before:
    """The vault's files before an erasure, opened."""

    def __init__(self, b):
        self.folder = b.path(f'before.{len(b.calls())}')
        reader.copy(b.dir, self.folder)
        self.vault = reader.read(self.folder)


# --- one disk ---


class Judge:
    """Starts the server on disks; each different one once."""

    def __init__(self, b, history):
        self.b, self.history = b, history
        self.judged, self.starts = {}, 0
        self.rows = {}

    def judge(self, image, allowed, why):
        """How many deeds it shows; one of the numbers allowed. None: that was done before."""
        key = tape.digest(image, self.b.names())
        if key in self.judged:
            need(self.judged[key] in allowed, f'{why}: {self.judged[key]} deeds are seen, not {allowed}')
            return None
        self.b.put(image)
        self.judged[key] = self.look(allowed, why)
        return self.judged[key]

    def look(self, allowed, why):
        b = self.b
        self.starts += 1
        b.serves(why)
        try:
            seen = observe(b)
            same(b.metric('pdvault_integrity_errors_total'), 0, f'{why}: integrity errors')
        finally:
            b.kill()
        wrong = []
        for count in allowed:
            found = differences(seen, self.history.state(count))
            if not found:
                self.files(count, why)
                return count
            wrong += found
        raise bed.Failed(f'{why}: none of {allowed} deeds: {wrong[:6]}')

    def files(self, count, why):
        """The independent reader's view, of what recovery left."""
        b = self.b
        vault = reader.read(b.dir)
        try:
            invariants.check(vault)
        except invariants.Broken as e:
            raise bed.Failed(f'{why}: {e}') from e
        state = self.history.state(count)
        living = {s for who, s in b.people.items() if state.get((who, READS[0]), ('NOT_FOUND',))[0] == 'OK' and
                  state[who, READS[1]][0] == 'OK'}
        same(set(vault.people), living, f'{why}: people who have a keyring')
        for d in self.history.deeds[:count]:
            if d.before is not None:
                closed(d, vault, why)


def closed(deed, vault, why):
    """Of the boxes of before an erasure, the living keys and what these lead to open those alone whose key lives."""
    live = vault.live_keys()
    boxes = {b.data: b for b in deed.before.vault.boxes}
    pieces = [finder.Piece(b.kind, b.data, [b.context]) for b in boxes.values()]
    opened, _, _ = finder.open_all(pieces, live)
    wrong = [p.kind for p in opened if boxes[p.data].key not in live]
    same(wrong, [], f'{why}: kinds of boxes that {deed.name} closed and that open')
    need(deed.before.vault.root not in live, f'{why}: the old root lives')


def variants(disk, chance, thorough):
    """(name, image) of the disks that the point may have left."""
    yield 'written', disk.written()
    if not disk.pending():
        return
    yield 'flushed', disk.flushed()
    last = disk.last
    if last.kind == tape.WRITE:
        count = max(len(last.data) // tape.SECTOR, 1)
        for _ in range(4 if thorough else 1):
            yield 'torn', disk.torn(chance.randrange(count) * tape.SECTOR)
        yield 'the last alone', disk.only_last()
    for size in (tape.SECTOR, tape.PAGE):
        for _ in range(6 if thorough else 1):
            yield f'some of {size}', disk.some(chance, size)


def points(calls, first):
    """The numbers of calls that a crash can come before, from first on, and the end."""
    return [n for n in range(first, len(calls)) if calls[n].kind in tape.CHANGES] + [len(calls)]


def replay(calls, disk=None):
    """(n, disk): before each call, and at the end."""
    disk = disk or tape.Disk()
    for n, c in enumerate(calls):
        yield n, disk
        disk.apply(c)
    yield len(calls), disk
