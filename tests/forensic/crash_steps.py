"""The steps of test_crash.py and nightly_crash.py."""
import collections
import errno
import os
import random
import time

import crash
import lab
import marks
import reader
import tape
import wire
from lab import bed
from bed import held, need, same, say, step

REFUSED, STOPPED = 4, 86
INDETERMINATE = 'UNKNOWN OUTCOME_INDETERMINATE'
SWITCH = 'erase a person'


def run(bin, thorough):
    lab.check_build(bin)
    chance = random.Random(crash.SEED)
    with crash.Bench(bin) as b:
        step(f'a history, recorded (SEED={crash.SEED})')
        h = crash.History(b)
        b.kill()
        calls = b.calls()
        b.unrecorded()
        faithful(b, calls)
        judge = crash.Judge(b, h)
        timed('F15, F16: every call of the history', history, b, h, calls, judge, chance, thorough)
        timed('F15, F16: requests that share a switch', batches, b, h, calls, judge, chance, thorough)
        timed('F19: every call of recoveries, cut off or failing', recoveries, b, h, calls, judge, chance, thorough)
        timed('F15: the process ends at every call of an erasure', ends, b, h, calls, judge)
        timed('F17, F18: every call of an erasure fails', failing, b, h, calls, judge)
        timed('F18, F19: what failed was done all the same', lying, b, h, calls, judge)
        timed('F26: store or anchor alone from before the erasure', rolled_back, b, h, calls, judge)
        say(f'{judge.starts} starts')
        b.quiet(crash.MARK, 'bishop')


def timed(name, function, *args):
    step(name)
    began = time.monotonic()
    function(*args)
    say(f'{time.monotonic() - began:.1f} s')


def faithful(b, calls):
    """The control: all calls, replayed, are what lies on the disk."""
    disk = tape.Disk()
    for c in calls:
        disk.apply(c)
    for name, data in b.held().items():
        need(tape.content(disk.written()[name]) == data, f'{name} is not what was recorded')
    maps = {c.path for c in calls if c.kind == tape.MAP and c.flags & 2}
    same(maps, {b.path('store/lock.mdb')}, 'files that are written through maps')
    say(f'{len(calls)} calls on the tape; replayed they are the files, byte for byte')


def history(b, h, calls, judge, chance, thorough):
    wanted = set(crash.points(calls, h.beginning))
    disks = 0
    answers = {d.acknowledged: d.name for d in h.deeds}
    for n, disk in crash.replay(calls):
        if n in answers:
            at_rest(b, disk, answers[n])
        if n not in wanted:
            continue
        for name, image in crash.variants(disk, chance, thorough):
            disks += 1
            judge.judge(image, h.allowed(n), f'before call {n} ({name})')
    say(f'{len(wanted)} points, {disks} disks, {judge.starts} of them different: each serves')
    held(15, f'{len(wanted)} points of create, update, erase')
    held(16, f'{judge.starts} different disks')


def at_rest(b, disk, name):
    """K7: when it is answered the old slot is gone from the disk, whatever was not flushed."""
    anchor = tape.content(disk.flushed()[b.path(crash.ANCHOR)])
    slots = [reader.Slot(anchor[at:at + reader.SLOT]) for at in (0, reader.SLOT)]
    same(sum(s.valid for s in slots), 1, f'valid slots when {name} is answered')


CROWD = 40
RECORD = 5 + 1 + 16	# what TLS 1.3 adds to the bytes of a record (RFC 8446, 5.2)


def sent_at(calls, sizes):
    """For each of the messages that were sent last, of these sizes: the call that sent its last byte."""
    sends = [(n, c.length) for n, c in enumerate(calls) if c.kind == tape.SEND]
    end, found = sum(length for _, length in sends) - sum(sizes), []
    for size in sizes:
        end += size
        done = 0
        for n, length in sends:
            done += length
            if done >= end:
                found.append(n)
                break
    need(all(calls[n].length >= size for n, size in zip(found, sizes, strict=True)), 'answers on the tape')
    return found


def batches(b, h, calls, judge, chance, thorough):
    """Requests that arrive together share a switch. Of each: answered before the point, so it is there."""
    disk = tape.Disk()
    for c in calls:
        disk.apply(c)
    image = disk.written()
    b.put(image)
    b.record()
    b.start()
    victim = b.people['person 0']
    with wire.Peer(b) as p:
        for i in range(CROWD):
            message = wire.field(1, wire.field(1, crash.MARK)) + wire.field(2, f'crowd{i}@bishops.example')
            p.send(wire.request('Vault.CreateSubject', wire.field(1, message), os.urandom(16)))
        p.send(wire.request('Rights.EraseSubject', wire.field(1, victim), os.urandom(16)))
        answers, sizes = [], []
        for _ in range(CROWD + 1):
            answers.append(p.receive())
            sizes.append(p.received + RECORD)
    b.kill()
    again = b.calls()
    b.unrecorded()
    same({a.code for _, a in answers}, {'OK'}, 'answers')
    sends = sent_at(again, sizes)
    # The n-th answer that came was the n-th that was sent.
    first = min(number for number, _ in answers)
    told = {number - first: at for (number, _), at in zip(answers, sends, strict=True)}
    ids = {number - first: a.values(1)[0] for number, a in answers}
    before, done, points = judge.starts, set(), 0
    for n, disk in crash.replay(again, tape.Disk.of(image)):
        if n < len(again) and again[n].kind not in tape.CHANGES:
            continue
        points += 1
        for name, left in crash.variants(disk, chance, thorough):
            known = frozenset(i for i, at in told.items() if at < n)
            key = known, tape.digest(left, b.names())
            if key in done or (name.startswith('torn') and not thorough):
                continue
            done.add(key)
            b.put(left)
            judge.starts += 1
            crowd(b, ids, known, victim, f'together, before call {n} ({name})')
    switches = sum(c.kind == tape.WRITE and c.flushes and c.path.endswith('data.mdb') for c in again) - 1
    need(switches < CROWD, 'no two requests shared a switch')
    held(15, f'{points} points of requests that share a switch')
    say(f'{len(answers)} requests in {switches} switches, {points} points, {judge.starts - before} starts')


def crowd(b, ids, known, victim, why):
    """Who was answered is there; everybody is there whole, or not at all."""
    b.serves(why)
    try:
        with wire.Peer(b) as p:
            there = set()
            for i in range(CROWD):
                got = p.call('Vault.GetIdentity', wire.field(1, ids[i])).code
                found = p.call('Vault.FindSubject', wire.field(1, f'crowd{i}@bishops.example'))
                same((found.code, found.values(1)), (got, [ids[i]] if got == 'OK' else []), f'{why}: {i} is found')
                need(got in ('OK', 'NOT_FOUND'), f'{why}: {i}: {got}')
                there |= {i} if got == 'OK' else set()
            erased = p.call('Vault.GetIdentity', wire.field(1, victim)).reason == 'SUBJECT_ERASED'
            there |= {CROWD} if erased else set()
    finally:
        b.kill()
    need(known <= there, f'{why}: answered, and not there: {sorted(known - there)}')
    vault = reader.read(b.dir)
    same([s.epoch for s in vault.slots if s.valid], [vault.epoch], f'{why}: valid slots')
    same({i for i in range(CROWD) if ids[i] in vault.people}, there - {CROWD}, f'{why}: keyrings')
    same(victim in vault.people, not erased, f'{why}: the keyring of the erased one')


def deed_of(h, name):
    return next(d for d in h.deeds if d.name == name)


def steps_of(h, calls):
    """The points of the switch: by what was written last."""
    d = deed_of(h, SWITCH)
    mine = [n for n in crash.points(calls, d.first) if n <= d.acknowledged]
    commit = next(n for n in mine if calls[n].kind == tape.WRITE and calls[n].flushes)	# K4
    return mine[0], commit, commit + 1, d.acknowledged


def recoveries(b, h, calls, judge, chance, thorough):
    """From disks in the middle of a switch: recovered, recorded, and each call of that cut off again."""
    _, commit, decided, _ = steps_of(h, calls)
    bases, points, before = {}, 0, judge.starts
    for n, disk in crash.replay(calls):
        if n == commit:
            bases['K3 done'] = disk.written(), n
        elif n == decided:
            bases['K4 done'] = disk.written(), n
        elif n == decided + 1:
            bases['K5 torn'] = disk.torn(tape.SECTOR * 70), n
    for name, (image, n) in bases.items():
        b.put(image)
        b.record()
        shown = judge.look(h.allowed(n), f'recovery, {name}')
        again = b.calls()
        b.unrecorded()
        for m, disk in crash.replay(again, tape.Disk.of(image)):
            if m < len(again) and again[m].kind not in tape.CHANGES:
                continue
            points += 1
            for variant, torn in crash.variants(disk, chance, thorough):
                judge.judge(torn, range(shown, shown + 1), f'recovery, {name}, before call {m} ({variant})')
        for number in [c.number for c in again if c.kind in tape.CHANGES]:
            disk = spoiled_recovery(b, image, number)
            for variant, left in (('flushed', disk.flushed()), ('written', disk.written())):
                judge.judge(left, range(shown, shown + 1), f'recovery, {name}, call {number} failed ({variant})')
    held(19, f'{len(bases)} recoveries, {points} points and the failure of each call, {judge.starts - before} starts')


def spoiled_recovery(b, image, number):
    """Its call of that number fails: it starts, or it does not; the disk after that."""
    b.put(image)
    b.record(PDV_TAPE_FAIL=str(number))
    try:
        b.start()
        b.kill()
    except bed.Failed:
        need(b.process is None, 'it neither starts nor ends')
    calls = b.calls()
    b.unrecorded()
    need(any(c.result < 0 for c in calls), f'no call failed at {number}')
    disk = tape.Disk.of(image)
    for c in calls:
        disk.apply(c)
    return disk


class Rerun:
    """An erasure from a fixed disk, through one connection, so that its calls have the same numbers each time."""

    def __init__(self, b, h, calls):
        self.b = b
        self.deed = deed_of(h, SWITCH)
        self.count = h.deeds.index(self.deed)
        for n, disk in crash.replay(calls):
            if n == self.deed.first:
                self.image = disk.written()
        self.subject = b.people['person 1']

    def go(self, **more):
        """The answer, or None when there was none; then the server has ended or is killed."""
        b = self.b
        b.put(self.image)
        b.record(**more)
        b.start()
        try:
            with wire.Peer(b) as p:
                answer = p.call('Rights.EraseSubject', wire.field(1, self.subject), mutates=True)
        except OSError:
            answer = None
        self.status = b.process.poll()
        if answer is None:
            self.status = b.process.wait(bed.PATIENCE)
        self.calls = b.calls()
        b.unrecorded()
        b.kill()
        return answer

    def numbers(self):
        """Of the calls of the erasure, without any fault."""
        same(self.go().code, 'OK', 'the erasure')
        greeting = next(i for i, c in enumerate(self.calls) if c.kind == tape.SEND)
        return [c.number for c in self.calls[greeting:] if c.kind in tape.CHANGES]


def same_but_for_time(b, h, judge, why, count):
    """Before the erasure it is the history's state; after it the erasure's own id and time are others."""
    b.serves(why)
    judge.starts += 1
    try:
        seen = crash.observe(b)
    finally:
        b.kill()
    for key in [k for k in seen if isinstance(k, bytes)]:
        del seen[key]
    for shown in (count, count + 1):
        if not crash.differences(seen, h.state(shown)):
            judge.files(shown, why)
            return shown - count
    raise bed.Failed(f'{why}: half an erasure: {crash.differences(seen, h.state(count))[:4]} and '
                     f'{crash.differences(seen, h.state(count + 1))[:4]}')


def ends(b, h, calls, judge):
    r = Rerun(b, h, calls)
    numbers = r.numbers()
    shown = ''
    for number in numbers:
        same(r.go(PDV_TAPE_STOP=str(number)), None, f'an answer at call {number}')
        same(r.status, STOPPED, f'exit status at call {number}')
        disk = tape.Disk.of(r.image)
        for c in r.calls:
            disk.apply(c)
        for name, data in b.held().items():
            need(tape.content(disk.written()[name]) == data, f'{name} is not what was recorded')
        shown += 'ne'[same_but_for_time(b, h, judge, f'ended at call {number}', r.count)]
    need(shown.lstrip('n').strip('e') == '', f'not once and for all: {shown}')
    say(f'{len(numbers)} ends; not erased, then erased: {shown}')
    held(15, f'the process ends at each of {len(numbers)} calls of an erasure')


# How a call fails: once and then all is well again, or from there on.
FAULTS = {
    'EIO once': {'PDV_TAPE_FAIL': '{}'},
    'ENOSPC once': {'PDV_TAPE_FAIL': '{}', 'PDV_TAPE_ERROR': str(errno.ENOSPC)},
    'EIO for good': {'PDV_TAPE_FAIL': '{}', 'PDV_TAPE_TIMES': '1000000'},
    'half a write': {'PDV_TAPE_SHORT': '{}'},
}


def failing(b, h, calls, judge):
    """An answer that says done must be true after a power cut; so must one that says that nothing was done."""
    r = Rerun(b, h, calls)
    numbers, told = r.numbers(), collections.OrderedDict()
    for fault, variables in FAULTS.items():
        for number in numbers:
            answer = r.go(**{k: v.format(number) for k, v in variables.items()})
            hit = [c for c in r.calls if c.kind in tape.CHANGES and
                   (c.result < 0 or (c.kind == tape.WRITE and c.result < c.length))]
            if not hit:
                need(fault == 'half a write', f'no call failed at {number}')
                continue		# a flush
            # What was not flushed goes with the power; a flush that failed flushed nothing.
            disk = tape.Disk.of(r.image)
            for c in r.calls:
                disk.apply(c)
            need(not marks.found(b''.join(c.data for c in r.calls), [crash.MARK, 'bishops.example']), 'F8: text')
            why = f'{fault}: {hit[0]!r}'
            said = 'ended' if answer is None else f'{answer.code} {answer.reason}'.strip()
            for left in (disk.flushed(), disk.written()):
                b.put(left)
                gone = same_but_for_time(b, h, judge, why, r.count)
                need(gone or said != 'OK', f'{why}: done, it said, and after a power cut it is not')
                need(not gone or said in ('OK', 'ended', INDETERMINATE), f'{why}: {said}, and it is done')
            where = f'{tape.NAMES[hit[0].kind]} {os.path.basename(hit[0].path)}'
            told.setdefault((where, said, gone), []).append(fault)
    held(8, 'no text in what was written when calls failed')
    held(17, f'EIO, ENOSPC or half a write at {len(numbers)} calls')
    held(18, f'a flush fails at {len(numbers)} calls')
    for (where, said, gone), faults in told.items():
        say(f'{where}: {said}, {"erased" if gone else "not erased"} ({len(faults)}: {", ".join(sorted(set(faults)))})')


def lying(b, h, calls, judge):
    """Each write and flush of an erasure in turn is done, and said to have failed. The process that starts then sees
    what the page cache holds, the power cut after it what the disk does; at any call of that start nobody is lost.
    """
    r = Rerun(b, h, calls)
    numbers, points, done = r.numbers(), 0, set()
    for number in numbers:
        r.go(PDV_TAPE_LIE=str(number))
        disk = tape.Disk.of(r.image)
        for c in r.calls:
            disk.apply(c)
        b.record()
        try:
            b.serves(f'call {number} failed, and was done')
            b.kill()
        finally:
            again = b.calls()
            b.unrecorded()
        for n, left in crash.replay(again, disk):
            if n < len(again) and again[n].kind not in tape.CHANGES:
                continue
            points += 1
            for variant, image in (('flushed', left.flushed()), ('written', left.written())):
                key = tape.digest(image, b.names())
                if key in done:
                    continue
                done.add(key)
                b.put(image)
                same_but_for_time(b, h, judge, f'preamble of recovery, F19: call {number} failed and was done, recovery before call '
                                  f'{n} ({variant})', r.count)
    held(18, f'{len(numbers)} calls that failed and were done, {points} points of the recoveries after them, '
         f'{len(done)} disks')


def rolled_back(b, h, calls, judge):
    first, commit, decided, last = steps_of(h, calls)
    at = {n: disk.written() for n, disk in crash.replay(calls) if n in (first, commit, decided, last)}
    store, anchor = b.names()
    cases = (('store_lost_commits', 'the store', first, last), ('previous_only', 'the anchor', last, first))
    for row, what, of_store, of_anchor in cases:
        b.put({store: at[of_store][store], anchor: at[of_anchor][anchor]})
        before = crash.content(anchor)
        b.refuses(REFUSED, row)
        same(crash.content(anchor), before, 'the anchor of a vault that was refused')
        say(f'{what} alone from before the erasure: {row}')
    # A disk that lost K5 alone, though it said that it was flushed: done again at the next start.
    b.put({store: at[last][store], anchor: at[decided][anchor]})
    done = h.deeds.index(deed_of(h, SWITCH)) + 1
    same(judge.look(range(done, done + 1), 'K5 lost'), done, 'deeds')
    say('the anchor from before K5: serves, and overwrites the old slot again')
    held(26, 'store or anchor alone from before a switch is refused')
