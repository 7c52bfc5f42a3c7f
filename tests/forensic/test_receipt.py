#!/usr/bin/python3 -B
"""F38: nobody is told "done" of an erasure before K5 has flushed what overwrites the old slot: neither who asked, nor
who asks again with the same key, nor who asks GetErasure meanwhile. Flushes are slow here, so that questions fall
between K4 and K5: they are answered PENDING, which is the control. (The erasure's id, which nobody was told
yet, is read from the store's file.) The same with a K5 that fails for a while. F30: how long it takes under load.

The recorder tells when each answer was sent, and to which port; the order on the tape counts, no clock.
"""
import contextlib
import os
import struct
import subprocess
import threading
import time

import lmdb

import crash
import lab
import tape
import wire
from lab import bed
from bed import held, main, need, same, say, step

PENDING, SHREDDED = 1, 2
RECORD = 22		# bytes that a TLS record adds
GREETING = 8 + RECORD
SLOT = 69632
ERASE, GET = 'Rights.EraseSubject', 'Rights.GetErasure'
SLOW_MS = 80
ROUNDS, TOGETHER = 6, 5
TRIES = 20
LOADED = 3		# seconds


class Line(wire.Peer):
    """A connection that remembers what it was told, in order: (method, answer, bytes of its record)."""

    def __init__(self, b, lines):
        super().__init__(b)
        self.port, self.asked, self.told = self.socket.getsockname()[1], {}, []
        lines.append(self)

    def begin(self, method, message, key=None):
        self.asked[self.send(wire.request(method, message, key))] = method

    def hear(self):
        length, number = struct.unpack('>QI', self.read(12))
        answer = wire.Response(self.read(length - 4))
        self.told.append((self.asked.pop(number), answer, 8 + length + RECORD))
        return answer

    def tell(self, method, message, key=None):
        self.begin(method, message, key)
        return self.hear()

    def state(self, erasure):
        """By GetErasure. Its row may be seen in the file just before the commit is done."""
        answer = self.tell(GET, wire.field(1, erasure))
        need(answer.code in ('OK', 'NOT_FOUND'), f'GetErasure: {answer}')
        return answer.values(3)[0] if answer.code == 'OK' else None


def create(line, first, count):
    """So many people; their ids."""
    for i in range(first, first + count):
        identity = wire.field(1, wire.field(1, crash.MARK)) + wire.field(2, crash.email(i))
        line.begin('Vault.CreateSubject', wire.field(1, identity), os.urandom(16))
    answers = [line.hear() for _ in range(count)]
    same({a.code for a in answers}, {'OK'}, 'new people')
    return [a.values(1)[0] for a in answers]


class Erasures:
    """The rows of erasures in the file of a store that is being written."""

    def __init__(self, b):
        self.env = lmdb.open(b.path('store'), max_dbs=16, readonly=True, lock=False)
        self.known = set()

    def new(self):
        """Ids that were not there the last time."""
        there = set()
        with contextlib.suppress(lmdb.Error), self.env.begin() as txn:	# a page may change under us
            table = self.env.open_db(b'erasures', txn=txn, create=False)
            there = {bytes(k) for k, _ in txn.cursor(table) if len(k) == 16}
        fresh, self.known = there - self.known, there | self.known
        return fresh

    def wait(self):
        return bed.soon(self.new, 'the row of an erasure')


# --- the tape ---


class Switches:
    """Of each epoch, the numbers of the calls that ended its K3, K4 and K5."""

    def __init__(self, b, calls):
        self.k3, self.k4, self.k5 = {}, {}, {}
        epoch, overwritten = None, False
        for n, c in enumerate(calls):
            if c.path == b.path(crash.ANCHOR) and c.kind == tape.WRITE:
                if c.data[:8] == b'pdvslot\0':
                    epoch, overwritten = int.from_bytes(c.data[32:40], 'big'), False
                    self.k3[epoch] = n
                elif epoch is not None:
                    overwritten = c.result == SLOT and c.offset == (epoch - 1) % 2 * SLOT
            elif c.path == b.path(crash.ANCHOR) and c.flushes and c.result == 0 and overwritten:
                self.k5.setdefault(epoch, n)
            elif c.path == b.path(crash.STORE) and c.kind == tape.WRITE and c.flushes and epoch not in self.k5:
                self.k4.setdefault(epoch, n)


def sends(calls, line):
    """(number of the call that sent its first byte, method, answer) of each answer on this connection: a call may
    send several, each a TLS record of its own."""
    mine = [n for n, c in enumerate(calls) if c.kind == tape.SEND and c.offset == line.port]
    greeting = next(i for i, n in enumerate(mine) if calls[n].length == GREETING)
    mine, sent, upto, found = mine[greeting + 1:], 0, 0, []
    for method, answer, length in line.told:
        while upto <= sent:
            call = mine.pop(0)
            upto += calls[call].length
        found.append((call, method, answer))
        sent += length
    need(sent <= upto + sum(calls[n].length for n in mine) < sent + GREETING, 'bytes sent that are no answer')
    return found


def said(method, answer):
    """(state, epoch) of an erasure, as an answer says; or nothing."""
    place = {ERASE: 2, GET: 3}.get(method)
    if place is None or answer.code != 'OK':
        return None, None
    return answer.values(place)[0], answer.values(place + 1)[0]


def judge(b, lines):
    """How many answers said "done", and how many PENDING were sent between K4 and K5."""
    calls = b.calls()
    s = Switches(b, calls)
    done = between = 0
    for line in lines:
        for n, method, answer in sends(calls, line):
            state, epoch = said(method, answer)
            if (state or 0) >= SHREDDED:	# or FINAL
                k5 = s.k5.get(epoch)
                need(k5 is not None and k5 < n, f'F38: SHREDDED is sent with call {n}, K5 is call {k5} ({method})')
                need(epoch in s.k4, f'F38: K5 of epoch {epoch} comes before its K4')
                done += 1
            elif state == PENDING:
                need(s.k4[epoch] < n, 'F38: an erasure is seen before its commit')
                between += n < s.k5.get(epoch, len(calls))
    return done, between


# --- F38 ---


def watch(line, erasures):
    """Asks for each erasure of a batch from when its row is on the disk until it is done."""
    for erasure in erasures.wait():
        while (line.state(erasure) or 0) < SHREDDED:
            pass


def together(lines, batch):
    """The same erasures with the same keys from all these connections."""
    for line in lines:
        for subject, key in batch:
            line.begin(ERASE, wire.field(1, subject), key)
    return [line.hear() for line in lines for _ in batch]


def rounds(b, lines):
    asker, again, other, watcher = (Line(b, lines) for _ in range(4))
    people, erasures = create(asker, 0, ROUNDS * TOGETHER), Erasures(b)
    for i in range(ROUNDS):
        batch = [(s, os.urandom(16)) for s in people[i * TOGETHER:(i + 1) * TOGETHER]]
        thread = threading.Thread(target=watch, args=(watcher, erasures), daemon=True)
        thread.start()
        same({a.code for a in together((asker, again, other), batch)}, {'OK'}, 'answers')
        thread.join(bed.PATIENCE)
        need(not thread.is_alive(), 'GetErasure does not say SHREDDED')
        erasures.new()


def unsettled(b, asker, erasures):
    """An erasure whose K5 fails from now on: the request, its key, its id."""
    for i in range(TRIES):
        subject, = create(asker, 1000 + i, 1)
        message, key = wire.field(1, subject), os.urandom(16)
        asker.begin(ERASE, message, key)
        erasure, = erasures.wait()		# K4 is done; most often the first flush of K5 has not begun
        with open(b.environment['PDV_TAPE_SICK'], 'wb'):
            pass
        answer = asker.hear()
        if answer.code != 'OK':
            same(answer.reason, 'OUTCOME_INDETERMINATE', 'the answer when K5 fails')
            return message, key, erasure
        os.unlink(b.environment['PDV_TAPE_SICK'])
    raise bed.Failed('K5 was always done before it could fail')


def failing(b, lines):
    """K5 fails for a while: PENDING, and no retry is told anything else, until it has succeeded."""
    asker, again, erasures = Line(b, lines), Line(b, lines), Erasures(b)
    erasures.new()
    message, key, erasure = unsettled(b, asker, erasures)
    for _ in range(3):
        same(again.state(erasure), PENDING, 'GetErasure when K5 fails')
        same(again.tell(ERASE, message, key).reason, 'READ_ONLY', 'a retry when K5 fails')
    os.unlink(b.environment['PDV_TAPE_SICK'])
    bed.soon(lambda: (again.state(erasure) or 0) >= SHREDDED, 'K5 is tried again')
    same(again.tell(ERASE, message, key).values(1), [erasure], 'a retry, at last')


def slow(bin):
    with crash.Bench(bin) as b:
        b.init()
        b.record(PDV_TAPE_SLOW=str(SLOW_MS), PDV_TAPE_SICK=b.path('sick'), PDV_TAPE_HEADS='64')
        b.start()
        lines = []
        rounds(b, lines)
        done, between = judge(b, lines)
        need(done > ROUNDS * TOGETHER * 3, f'{done} answers said SHREDDED')
        need(between > 0, 'control: no answer between K4 and K5')
        failing(b, lines)
        same(b.stop(), 0, 'exit status')
        done, between = judge(b, lines)
        held(38, f'{done} answers say SHREDDED, each after K5; {between} say PENDING between K4 and K5')


# --- F30 ---


@contextlib.contextmanager
def load(b):
    """Reads and writes of other people, until the end of the block."""
    env = {**os.environ, 'PDVAULT_CA': b.pki.path('ca.pem'), 'PDVAULT_CERT': b.pki.path('operator.pem'),
           'PDVAULT_KEY': b.pki.path('operator.key')}
    with subprocess.Popen([os.path.join(b.bin, 'system_churn'), '1'], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env=env) as churn:
        try:
            churn.stdin.write(f'load {b.url}\n')
            churn.stdin.flush()
            same(churn.stdout.readline().strip(), 'loading', 'the load')
            yield
        finally:
            churn.kill()


def timed(b, lines):
    """Milliseconds from asking to the answer, of erasures one after the other."""
    line, times = Line(b, lines), []
    end = time.monotonic() + LOADED
    while time.monotonic() < end:
        for subject in create(line, 2000 + len(times), 10):
            began = time.monotonic()
            same(line.tell(ERASE, wire.field(1, subject), os.urandom(16)).code, 'OK', 'an erasure')
            times.append((time.monotonic() - began) * 1000)
    return sorted(times)


def loaded(bin):
    with crash.Bench(bin) as b:
        b.conf['vault'].update(map_size='1G')
        b.init()
        b.record(PDV_TAPE_HEADS='64')
        b.start()
        lines = []
        with load(b):
            time.sleep(0.5)		# it creates before it does anything else
            before = b.metric('pdvault_mutations_total')
            times = timed(b, lines)
            others = b.metric('pdvault_mutations_total') - before - 2 * len(times)
        same(b.stop(), 0, 'exit status')
        done, _ = judge(b, lines)
        same(done, len(times), 'erasures')
        need(others > len(times), 'there was hardly any load')
        p50, p99 = (times[len(times) * n // 100] for n in (50, 99))
        held(30, f'{done} erasures beside {others:.0f} other writes: p50 {p50:.1f} ms, p99 {p99:.1f}, '
                 f'max {times[-1]:.1f}; each answered after K5')


def run(bin):
    lab.check_build(bin)
    step('F38: slow flushes, and some that fail')
    slow(bin)
    step('F30: erasures under load')
    loaded(bin)


main(run)
