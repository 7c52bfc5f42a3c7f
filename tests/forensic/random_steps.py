"""The steps of test_random.py and nightly_random.py."""
import hashlib
import os
import signal
from concurrent import futures

import crash
import finder
import lab
import reader
import tape
import wire
from lab import bed
from bed import held, need, same, say, step

REFUSED = 4
ROOT = 1			# purpose of a root key
WORKERS = 4			# so that some requests share a switch, and most do not


# --- F12: nothing comes twice ---


def digest_of(data):
    return hashlib.blake2b(data, digest_size=16).digest()


class Seen:
    """Nonces of boxes, and stripes of slots: each with one value, for ever."""

    def __init__(self):
        self.values, self.boxes = {}, set()

    def add(self, name, digest):
        same(self.values.setdefault(name, digest), digest, 'F12: a nonce or a stripe with two values')

    def add_box(self, box):
        self.boxes.add(box[1:25])
        self.add(box[1:25], digest_of(box))

    def add_page(self, place, page):
        find = finder.Find()
        find.add_page(place, page)
        for key, value in find.rows:
            if len(key) == 13 or finder.of_tree(key, value, bytes(16), 0) is not None:
                self.add_box(value)

    def add_slot(self, data):
        """Two different slots have nothing in common: 64 KiB, in parts of a sector."""
        slot, digest = reader.Slot(data), digest_of(data)
        for box in slot.boxes():
            self.add_box(box)
        for wrap in slot.wraps[:slot.count]:
            if wrap.kind == reader.RECOVERY:
                self.add(wrap.sealed[:32], digest)	# its ephemeral key
        for at in range(reader.BLOCK, reader.SLOT, tape.SECTOR):
            self.add(data[at:at + 24], digest)

    def add_tape(self, path, store, anchor):
        for c in tape.each(path):
            if c.kind != tape.WRITE:
                continue
            if c.path == anchor and c.data[:8] == b'pdvslot\0':
                self.add_slot(c.data)
            elif c.path == store:
                for at in range(0, len(c.data), finder.PAGE_LEN):
                    self.add_page((c.offset + at) // finder.PAGE_LEN, c.data[at:at + finder.PAGE_LEN])


def shred(b, count):
    """So many people are made and erased, one after the other."""
    with wire.Peer(b) as p:
        for i in range(count):
            identity = wire.field(1, wire.field(1, crash.MARK)) + wire.field(2, f'{os.urandom(6).hex()}@bishops.example')
            answer = p.call('Vault.CreateSubject', wire.field(1, identity), mutates=True)
            same(answer.code, 'OK', 'a person')
            message = wire.field(1, answer.values(1)[0])
            same(p.call('Rights.EraseSubject', message, mutates=True).code, 'OK', 'an erasure')


def shreds(bin, lives, count):
    """So many lives of a server with so many shreds each."""
    step(f'F12: {lives} lives with {count} shreds each')
    with crash.Bench(bin) as b:
        seen = Seen()
        b.init()
        for _ in range(lives):
            b.record()
            b.start()
            with futures.ThreadPoolExecutor(WORKERS) as pool:
                for done in [pool.submit(shred, b, count // WORKERS) for _ in range(WORKERS)]:
                    done.result()
            status = b.status()
            same(b.stop(), 0, 'exit status')
            seen.add_tape(b.tape_path, b.path(crash.STORE), b.path(crash.ANCHOR))
            os.unlink(b.tape_path)
        different(b, seen, status['epoch'], lives * (count // WORKERS) * WORKERS)
        same(status['erased'], lives * (count // WORKERS) * WORKERS, 'erased')
        b.quiet(crash.MARK, 'bishops')


def different(b, seen, epoch, count):
    keys = b.registered()
    same(len({k for k, _ in keys}), len(keys), 'F12: different keys')
    roots = sum(purpose == ROOT for _, purpose in keys)
    need(roots >= epoch > count / 4, f'{roots} roots, {epoch} epochs, {count} shreds')
    # Of each switch at least a root page, two pages, a bucket, a wrap and the seals.
    need(len(seen.boxes) > 6 * epoch, f'only {len(seen.boxes)} boxes were seen')
    nonce = next(iter(seen.boxes))
    try:
        seen.add(nonce, b'another')
    except bed.Failed:
        pass
    else:
        raise bed.Failed('control: a nonce that comes again is not noticed')
    held(12, f'{count} shreds in {epoch} switches: {len(keys)} keys, {roots} roots, {len(seen.boxes)} nonces and '
             f'{len(seen.values) - len(seen.boxes)} stripes, no two the same')


# --- a random source that fails ---


def stuck(b, after, period, *more):
    b.environment.update(LD_PRELOAD=os.path.join(b.bin, 'forensic_stuck.so'), PDV_STUCK_AFTER=str(after),
                         PDV_STUCK_PERIOD=str(period), **dict.fromkeys(more, '1'))


def true_again(b):
    for name in [n for n in b.environment if n.startswith('PDV_STUCK') or n == 'LD_PRELOAD']:
        del b.environment[name]


def refused(bin):
    """At start: nothing is made and nothing is written."""
    with lab.Lab(bin) as b:
        for period, *more in ((1,), (2,), (200,), (1, 'PDV_STUCK_DEVICE'), (3, 'PDV_STUCK_DEVICE')):
            stuck(b, 0, period, *more)
            same(b.daemon('init'), REFUSED, 'exit status of init')
            need('repeats itself' in b.log_text(b.lives), 'the log does not say why')
            need(not any(os.path.exists(b.path(n)) for n in ('store', 'anchor', 'key')), 'init has made something')
        true_again(b)
        b.init()
        before = [crash.content(b.path(n)) for n in (crash.STORE, crash.ANCHOR)]
        for period, *more in ((1,), (200,), (1, 'PDV_STUCK_DEVICE')):
            stuck(b, 0, period, *more)
            b.refuses(REFUSED, 'repeats itself')
        stuck(b, 0, 0, 'PDV_STUCK_DEVICE')
        same(b.daemon('run'), -signal.SIGABRT, 'exit status when nothing is random')
        need('the random source failed' in b.log_text(b.lives), 'the log does not say why')
        same([crash.content(b.path(n)) for n in (crash.STORE, crash.ANCHOR)], before, 'store and anchor')
        true_again(b)
        b.start()			# the control
        same(b.stop(), 0, 'exit status')
    held(12, 'with a random source that is constant or repeats itself it does not start, and writes nothing')


def drawn(bin):
    """Every key is what the kernel gave for it: none comes from a generator of the server's own, whose state would
    give it back."""
    with lab.Lab(bin) as b:
        b.environment.update(LD_PRELOAD=os.path.join(b.bin, 'forensic_stuck.so'), PDV_STUCK_LOG=b.path('drawn'))
        b.init()
        b.start()
        people = [b.create({'name': {'full': crash.MARK}, 'emails': [crash.email(i)]}) for i in range(8)]
        for p in people[:3]:
            b.cli('subject', 'erase', p, '--yes')
        same(b.stop(), 0, 'exit status')
        data = crash.content(b.path('drawn'))
        given = {lab.key_id(data[i:i + 32]) for i in range(0, len(data), 32)}
        made = {k for k, _ in b.registered()}
        need(len(made) > 40, f'only {len(made)} keys were made')
        same(len(made - given), 0, 'F12: keys that the kernel did not give')
        need(lab.key_id(bytes(32)) not in given, 'control')
        true_again(b)
    held(12, f'each of {len(made)} keys is a draw from the kernel')


def create(b, made, first):
    """One after the other until the server is gone; how many were asked for."""
    with wire.Peer(b) as p:
        for i in range(first, first + 1000):
            identity = wire.field(1, wire.field(1, crash.MARK)) + wire.field(2, crash.email(i))
            try:
                answer = p.call('Vault.CreateSubject', wire.field(1, identity), mutates=True)
            except OSError:
                return i + 1
            same(answer.code, 'OK', 'a person')
            made[i] = answer.values(1)[0]
    raise bed.Failed('F12: it goes on with a random source that repeats itself, or fails')


def later(bin):
    """It ends in time: no box is written under a nonce or key that was used, and what was answered is there."""
    made, first = {}, 0
    with crash.Bench(bin) as b:
        seen = Seen()
        b.init()
        for period, words, *more in ((1, 'repeats itself'), (2, 'repeats itself'), (150, 'repeats itself'),
                                     (0, 'failed'), (1, 'repeats itself', 'PDV_STUCK_DEVICE')):
            stuck(b, 500, period, *more)
            b.environment['LD_PRELOAD'] += ':' + os.path.join(b.bin, 'forensic_tape.so')
            b.environment.update(PDV_TAPE=b.path('tape'), PDV_TAPE_BELOW=f'{b.path("store")}:{b.path("anchor")}')
            b.start()
            before, first = len(made), create(b, made, first)
            need(len(made) > before, 'it ended before its source did')
            process, b.process = b.process, None
            same(process.wait(bed.PATIENCE), -signal.SIGABRT, 'exit status')
            need(f'the random source {words}' in b.log_text(b.lives), 'the log does not say why')
        b.unrecorded()
        true_again(b)
        seen.add_tape(b.path('tape'), b.path(crash.STORE), b.path(crash.ANCHOR))
        b.start()
        with wire.Peer(b) as p:
            for i, subject in made.items():
                same(p.call('Vault.FindSubject', wire.field(1, crash.email(i))).values(1), [subject], 'who was made')
        same(b.stop(), 0, 'exit status')
        vault = reader.read(b.dir)
        keys = [x.key for x in vault.boxes if x.kind in (reader.PAGE, reader.BUCKET, reader.KEYRING)]
        same(len({*keys, vault.root}), len(keys) + 1, 'F12: different keys')
        held(12, f'one that begins to repeat itself or fails ends it in time: {len(seen.boxes)} '
                 f'nonces, {len(made)} people answered and there')


def run(bin, lives, count):
    lab.check_build(bin)
    step('F12: a random source that fails at start')
    refused(bin)
    step('F12: one that fails later')
    later(bin)
    step('F12: where keys come from')
    drawn(bin)
    shreds(bin, lives, count)
