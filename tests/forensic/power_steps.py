"""The steps of test_powercut.py and nightly_powercut.py."""
import os
import random
import sys
import time

import guest
import invariants
import reader
import tape
from lab import bed
from bed import held, need, same, say, step

sys.path.append(os.path.join(bed.ROOT, 'tests', 'system'))

SEED = int(os.environ.get('SEED', '0')) or random.randrange(1, 1 << 31)
STORE, ANCHOR, COPY, CONTROL = 'store-disk', 'anchor-disk', 'copy-disk', 'control-disk'
SIZES = {STORE: '512M', ANCHOR: '32M', COPY: '32M', CONTROL: '32M'}
BLOCK = 65536


class Machine(guest.GuestBed):
    """A vault in a guest, its store and each file of its anchor on a drive of their own; to kill it is to cut
    the power."""

    def __init__(self, bin, anchors):
        super().__init__(bin)
        self.anchors = [ANCHOR, COPY][:anchors]
        self.drives = [STORE, *self.anchors, CONTROL]
        self.conf['vault'].update(path=f'{STORE}/store', map_size='400M')
        self.conf['anchor'].update(path=f'{ANCHOR}/anchor')
        if anchors > 1:
            self.conf['anchor'].update(copies=f'{COPY}/anchor')
        self.conf['seal file'].update(path=f'{STORE}/key')
        for name in ('out', *self.drives):
            os.mkdir(self.path(name))
        for name in self.drives:
            guest.tool('truncate', '-s', SIZES[name], self.drive(name))
            guest.tool('mkfs.ext4', '-q', '-b', '4096', self.drive(name))

    def before(self, name):
        """A copy of the drive's file, of when the power came on."""
        return self.path(f'{name}.before')

    def power_on(self):
        self.boots += 1
        for name in self.drives:
            guest.tool('cp', '--sparse=always', self.drive(name), self.before(name))
        self.guest = guest.Guest(self, f'boot{self.boots}', drives=self.drives)
        for name in self.drives:
            # Nothing shall flush the drive of the controls, however long the first boot takes.
            self.guest.mount(name, self.path(name), *(['commit=100000'] if name == CONTROL else []))

    def start(self, *prefix):
        """Serves again; a refusal is told with the reason that the log has."""
        try:
            super().start(*prefix)
        except bed.Failed as e:
            said = [x.get('what', x['event']) for x in self.events(self.lives)]
            raise bed.Failed(f'after a power cut: {e}; the log says {said[-4:]}') from e

    def cut(self):
        """What the disks were told until then."""
        self.kill() if self.process is not None else self.guest.kill()
        gone, self.guest = self.guest, None
        return gone.calls()

    def drives_lose(self, calls, variant):
        """The drives had a cache: what they leave after these calls. Whether anything was in it."""
        return any([guest.leave(calls, self.before(name), self.drive(name), variant)
                    for name in (STORE, *self.anchors)])

    def read_all(self, why):
        """The independent reader opens everything, and finds it sound; with each file of the anchor."""
        out = self.path('out')
        self.guest.run('mount', '-t', 'hostfs', '-o', out, 'none', out)
        self.guest.run('cp', self.path(STORE, 'store/data.mdb'), self.path(STORE, 'key'), out)
        for name in self.anchors:
            self.guest.run('cp', self.path(name, 'anchor'), os.path.join(out, name))
        self.guest.run('umount', out)
        for name in self.anchors:
            vault = reader.Vault(out, os.path.join(out, name), os.path.join(out, 'key'))
            same([s.epoch for s in vault.slots if s.valid], [vault.epoch], f'{why}: valid slots')
            invariants.check(vault)
        return vault


# --- the control: what a cut loses ---


def write_controls(b):
    """Three files: flushed; left in the page cache; handed to the drive, which is not told to flush it."""
    for name, fill in (('zeros', b'\0'), ('ones', b'\xff')):
        with open(b.path(name), 'wb') as f:
            f.write(fill * BLOCK)

    # What stands in the page cache stays there alone.
    b.guest.run('sh', '-c', 'echo 0 >/proc/sys/vm/dirty_writeback_centisecs')

    def dd(source, name, *more):
        b.guest.run('dd', f'if={b.path(source)}', f'of={b.path(CONTROL, name)}', f'bs={BLOCK}', *more)
    dd('ones', 'flushed', 'conv=fsync')
    dd('zeros', 'drive', 'conv=fsync')
    dd('ones', 'drive', 'conv=notrunc', 'oflag=direct')
    dd('ones', 'cached')


def controls_left(b, image):
    """The three files of an image, without the guest: e2fsck puts the journal back."""
    guest.tool('e2fsck', '-p', '-E', 'journal_only', image)
    return {name: guest.tool('debugfs', '-R', f'cat /{name}', image) for name in ('flushed', 'drive', 'cached')}


def controls_hold(b, calls):
    ones, drive, image = b'\xff' * BLOCK, b.drive(CONTROL), b.path('control.image')
    # All that was written, put on the drive of before, is the drive: nothing goes past the tape.
    guest.tool('cp', '--sparse=always', drive, image)
    guest.leave(calls, b.before(CONTROL), drive, tape.Disk.written)
    guest.tool('cmp', drive, image)
    left = controls_left(b, image)
    need(left['flushed'] == ones, 'what was flushed is lost')
    need(left['cached'] != ones, 'the cut loses nothing: what stood in the page cache is there')
    need(left['drive'] == ones, 'what the drive was given is lost')
    say(f'a cut leaves {len(left["cached"])} of {BLOCK} bytes in the page cache, and all that was flushed')
    need(guest.leave(calls, b.before(CONTROL), drive, tape.Disk.flushed), 'the drive had nothing in its cache')
    left = controls_left(b, drive)
    need(left['flushed'] == ones, 'what was flushed is lost with the cache of the drive')
    need(left['drive'] == bytes(BLOCK), 'what the drive was not told to flush is there')
    say('and a drive that loses its cache none of what it was not told to flush')


# --- cuts ---


def random_part(chance):
    return lambda disk: disk.some(chance, tape.PAGE)


class Cuts:
    def __init__(self, b, churn, chance):
        self.b, self.churn, self.chance = b, churn, chance
        self.acknowledged = self.unknown = self.checked = self.cuts = 0
        self.in_recovery = self.caches = self.loads = 0

    def under_load(self, lossy, everybody=False):
        """Recovers from the cut before, is checked, is loaded, and cut. lossy: the drives lose their caches."""
        b = self.b
        b.start()
        self.look(everybody)
        upto = b.metric('pdvault_epoch') + self.chance.randrange(6, 40)
        self.churn.ask('load', b.url)
        bed.soon(lambda: b.metric('pdvault_epoch') >= upto, 'switches')
        b.guest.wait_for_a_write()
        calls = b.cut()
        acknowledged, unknown = self.churn.ask('stop')
        self.loads += 1
        self.acknowledged += acknowledged
        self.unknown += unknown
        self.cuts += 1
        if lossy:
            self.caches += b.drives_lose(calls, random_part(self.chance))
        return calls

    def look(self, everybody):
        """No acknowledged write is lost, nobody is back."""
        checked, = self.churn.ask('check', self.b.url, 'all' if everybody else 'touched')
        self.checked += checked
        same(self.b.metric('pdvault_integrity_errors_total'), 0, 'integrity errors')
        return self.b.read_all(f'cut {self.cuts}')

    def in_a_start(self):
        """The power goes while the journals are put back or the vault recovers: after any write of that."""
        b = self.b
        b.power_on()
        b.spawn()
        bed.soon(lambda: b.ready() or b.guest.poll() is not None, 'the server is ready')
        calls = b.cut()
        mine = [n for n, c in enumerate(calls) if c.path == b.drive(ANCHOR) and c.flushes]
        need(mine, 'nothing to recover')
        upto = self.chance.randrange(1, mine[-1] + 1)
        self.caches += b.drives_lose(calls[:upto], random_part(self.chance))
        self.cuts += 1
        self.in_recovery += 1
        say(f'a start, cut off after {upto} of {len(calls)} writes and flushes')

    def at_a_time(self):
        """The same, at any time."""
        b = self.b
        b.power_on()
        b.spawn()
        time.sleep(self.chance.uniform(0, 0.4))
        b.cut()
        self.in_recovery += not b.ready()
        self.cuts += 1
        say('a start, cut off ' + ('afterwards' if b.ready() else 'before it was ready'))


def run(bin, plan, anchors=1):
    """anchors: how many files it has. plan: what each cut is, a letter each: l under load, L the same and the
    drives lose their caches, s in a start, at some write, t in a start, at some time."""
    guest.check_host('mkfs.ext4', 'e2fsck', 'debugfs')
    import test_kill_loop
    chance = random.Random(SEED)
    step(f'{len(plan)} power cuts, an anchor of {anchors} files (SEED={SEED})')
    began = time.monotonic()
    with Machine(bin, anchors) as b:
        b.power_on()
        b.init()
        write_controls(b)
        churn = test_kill_loop.Churn(b)
        c = Cuts(b, churn, chance)
        try:
            for n, kind in enumerate(plan):
                if kind in 'lL':
                    calls = c.under_load(kind == 'L', everybody=n % 8 == 7)
                    if n == 0:
                        controls_hold(b, calls)
                elif kind == 's':
                    c.in_a_start()
                else:
                    c.at_a_time()
            b.start()
            vault = c.look(True)
            status = b.status()
            same(churn.end(), 0, 'exit status of churn')
        finally:
            churn.process.kill()
            churn.process.wait()
        b.quiet('churn.example', 'account-')
    need(c.acknowledged > 5 * c.loads and c.unknown > 0, 'there was hardly any load')
    need(c.in_recovery > 0, 'no cut came in a recovery')
    say(f'{len(vault.people)} people, {status["erased"]} erased, epoch {vault.epoch}; {c.acknowledged} writes '
        f'acknowledged, {c.unknown} cut off; {c.checked} checks; {time.monotonic() - began:.0f} s')
    held(16, f'{c.cuts} power cuts of a guest, {c.caches} with drives that lost their caches')
    held(19, f'{c.in_recovery} power cuts of a guest while it recovered')
