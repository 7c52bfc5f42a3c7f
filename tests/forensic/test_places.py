#!/usr/bin/python3 -B
"""F28: on real file systems the anchor's class is what docs/THREATS.md says, in the log, in the status, and in
what is refused: ext4, xfs, btrfs, overlay, tmpfs, a memory disk, a loop device over a file on each; and
what changes while the file is there: data=journal for the file alone, an extent that a copy by reference
shares. F29: over a thousand switches the slot file's extents stay the same, on ext4 and xfs; on btrfs, the
control, they do not.

All of it in a guest with a kernel of its own (guest.py), which needs no right that a user does not have.
"""
import itertools
import json
import os
import time

import guest
import wire
from lab import bed
from bed import held, need, same, say, step

FAILED, REFUSED = 1, 4
SWITCHES = 1000
LOOPED = 'loop device over a file of class '
# Class and reason, and of what a loop device over a file there is.
PLACES = {
    'ext4': ('C', 'virtual disk'),
    'journal': ('D', 'data=journal'),
    'xfs': ('C', 'virtual disk'),
    'btrfs': ('D', 'copy on write'),
    'overlay': ('D', 'overlay'),
    'tmpfs': ('D', 'tmpfs'),
    'ram': ('D', 'memory disk'),
}
DISKS = {		# in the order of their devices
    'ext4': ('96M', 'mkfs.ext4', '-q', '-b', '4096'),
    'journal': ('64M', 'mkfs.ext4', '-q', '-b', '4096'),
    'xfs': ('320M', 'mkfs.xfs', '-q'),
    'btrfs': ('160M', 'mkfs.btrfs', '-q'),
}


class Places(guest.GuestBed):
    def __init__(self, bin):
        super().__init__(bin)
        self.confs, self.forced = 0, False
        for name in PLACES:
            os.mkdir(self.path(name))
            os.mkdir(self.path(f'{name}-loop'))
        for name, (size, *make) in DISKS.items():
            guest.tool('truncate', '-s', size, self.path(f'{name}.image'))
            guest.tool(*make, self.path(f'{name}.image'))

    def power_on(self):
        self.guest = guest.Guest(self, 'guest', disks=[self.path(f'{name}.image') for name in DISKS])
        for module in ('fs/overlayfs/overlay.ko', 'drivers/block/brd.ko'):
            self.guest.module(module)
        for device, name in zip('abcd', DISKS, strict=True):
            self.mount(f'/dev/ubd{device}', name, *(['-o', 'data=journal'] if name == 'journal' else []))
        self.mount('none', 'tmpfs', '-t', 'tmpfs')
        self.guest.run('mkfs.ext4', '-q', '/dev/ram0')
        self.mount('/dev/ram0', 'ram')
        parts = {part: self.path('ext4', part) for part in ('lower', 'upper', 'work')}
        self.guest.run('mkdir', *parts.values())
        self.mount('none', 'overlay', '-t', 'overlay', '-o',
                   'lowerdir={lower},upperdir={upper},workdir={work}'.format(**parts))
        for name in PLACES:
            image = self.path(name, 'image')
            self.guest.run('truncate', '-s', '8M', image)
            self.guest.run('mkfs.ext4', '-q', image)
            self.mount(image, f'{name}-loop', '-o', 'loop')

    def mount(self, what, name, *more):
        self.guest.run('mount', *more, what, self.path(name))

    def use(self, name):
        """The vault whose anchor lies there; all else is on ext4."""
        self.conf['vault'].update(path=f'ext4/{name}.store', map_size='64M')
        self.conf['anchor'].update(path=f'{name}/anchor')
        self.conf['seal file'].update(path=f'ext4/{name}.key')

    def write_conf(self):
        """A new file each time: the guest may have read the one of before."""
        self.confs += 1
        super().write_conf()
        os.rename(self.path('conf'), self.path(f'conf.{self.confs}'))

    def command(self, verb, *args):
        return [os.path.join(self.bin, 'pdvaultd'), verb, '--config', self.path(f'conf.{self.confs}'),
                *(['--force-class-d'] if self.forced else []), *args]

    def tried(self, *words, forced=False):
        """Exit status and log of a verb that ends by itself."""
        self.forced = forced
        self.write_conf()
        status, out = self.guest.run(*self.command(*words), expect=None)
        return status, [json.loads(text) for text in out.splitlines() if text.startswith('{')]

    def made(self, name):
        return self.guest.run('test', '-e', self.path(name, 'anchor'), expect=None)[0] == 0

    def extents(self, name):
        """Where the slots lie: logical, physical, length of each extent."""
        out = self.guest.run('filefrag', '-v', '-e', self.path(name, 'anchor'))[1]
        found = [line.split(':')[1:4] for line in out.splitlines() if line.strip()[:1].isdigit()]
        need(found, f'no extents on {name}: {out}')
        return found


def judged(events, letter, why, name):
    said = [(e['class'], e['why']) for e in events if e['event'] == 'anchor_class']
    need(said and all(c == letter and why in w for c, w in said),
         f'F28: {name}: {said} instead of {letter}, {why}')


def refused(b, verb, why, name):
    status, events = b.tried(verb)
    same(status, REFUSED, f'F28: {name}: exit status of {verb} on class D')
    judged(events, 'D', why, name)
    need(any('class D' in e.get('what', '') for e in events), f'F28: {name}: {verb} does not say why')


def classify(b, name, letter, why):
    b.use(name)
    if letter == 'D':
        refused(b, 'init', why, name)
        need(not b.made(name), f'F28: {name}: refused, and an anchor was made')
    status, events = b.tried('init', forced=letter == 'D')
    same(status, 0, f'F28: {name}: exit status of init')
    judged(events, letter, why, name)
    need(b.made(name), f'{name}: no anchor')
    if letter == 'D':
        refused(b, 'run', why, name)


def serves(b, name, letter, why):
    b.use(name)
    b.forced = letter == 'D'
    b.start()
    judged(b.events(b.lives), letter, why, name)
    status = b.status()
    same(status['anchor_class'], letter, f'F28: {name}: class in the status')
    need(why in status['anchor_class_reason'], f'F28: {name}: {status["anchor_class_reason"]}')


def create(p, numbers=itertools.count()):
    identity = wire.field(2, f'rook{next(numbers)}@rooks.example')
    return p.call('Vault.CreateSubject', wire.field(1, identity), mutates=True)


def switches(b, count):
    """One after the other, so that no two requests share one."""
    with wire.Peer(b) as p:
        answers = [create(p) for _ in range(count + 1)]
    same({a.code for a in answers}, {'OK'}, 'new subjects')
    same(answers[-1].epoch - answers[0].epoch, count, 'switches')


def journalled(b):
    """The file alone is journalled."""
    b.use('ext4')
    b.guest.run('chattr', '+j', b.path('ext4/anchor'))
    refused(b, 'run', 'data=journal', 'chattr +j')
    b.guest.run('chattr', '-j', b.path('ext4/anchor'))
    serves(b, 'ext4', *PLACES['ext4'])
    same(b.stop(), 0, 'exit status')


def move(b, old, new, expect):
    b.conf['anchor'].update(path=new)
    status, events = b.tried('anchor', 'move', '--from', b.path(old))
    same(status, expect, f'exit status of anchor move from {old} to {new}')
    return events


def leaves_the_twin(b):
    """Moved away, the file is overwritten in other blocks than those of its copy by reference: it is said."""
    events = move(b, 'xfs/anchor', 'ext4/left', FAILED)
    need(any('an extent is shared' in e.get('why', '') and 'destroy the device' in e.get('what', '')
             for e in events), f'F28: moved away from a copy by reference: {events}')


def shared(b):
    """A copy by reference has the old slots for ever: noticed while it runs, and at the next start."""
    serves(b, 'xfs', *PLACES['xfs'])
    twin = b.path('xfs/twin')
    b.guest.run('cp', '--reflink=always', b.path('xfs/anchor'), twin)
    with wire.Peer(b) as p:
        bed.soon(lambda: create(p).code != 'OK', 'a copy by reference is noticed')
    changed = [(e['class'], e['why']) for e in b.events(b.lives) if e['event'] == 'anchor_class_changed']
    need(changed and changed[-1][0] == 'D', f'F28: {changed}')
    same(b.status()['anchor_class'], 'D', 'class in the status')
    same(b.stop(), 0, 'exit status')
    b.guest.run('rm', twin)
    b.guest.run('cp', '--reflink=always', b.path('xfs/anchor'), twin)
    refused(b, 'run', 'an extent is shared', 'a copy by reference')
    leaves_the_twin(b)
    b.guest.run('rm', twin)
    move(b, 'ext4/left', 'xfs/anchor', 0)
    serves(b, 'xfs', *PLACES['xfs'])
    same(b.stop(), 0, 'exit status')
    image = b.path('xfs/image')
    b.guest.run('cp', '--reflink=always', image, f'{image}.twin')
    b.use('xfs-loop')
    refused(b, 'run', f'{LOOPED}D', 'a loop device over a file with a copy by reference')
    say(f'while it ran: {changed[-1][1]}')


def in_place(b, name):
    serves(b, name, *PLACES[name])
    before = b.extents(name)
    began = time.monotonic()
    switches(b, SWITCHES)
    say(f'{name}: {SWITCHES} switches, {len(before)} extents, {time.monotonic() - began:.1f} s')
    same(b.extents(name), before, f'F29: extents on {name}')
    same(b.stop(), 0, 'exit status')


def elsewhere(b):
    """The control: a file system that writes elsewhere is seen to."""
    serves(b, 'btrfs', *PLACES['btrfs'])
    before = b.extents('btrfs')
    switches(b, 4)
    need(b.extents('btrfs') != before, 'F29: the extents on btrfs stay: the others count for nothing')
    same(b.stop(), 0, 'exit status')


def run(bin):
    guest.check_host('mkfs.ext4', 'mkfs.xfs', 'mkfs.btrfs', 'filefrag', 'chattr')
    with Places(bin) as b:
        b.power_on()
        for name, (letter, why) in PLACES.items():
            step(f'{name}: {letter}, {why}')
            classify(b, name, letter, why)
            serves(b, name, letter, why)
            same(b.stop(), 0, 'exit status')
            classify(b, f'{name}-loop', letter, f'{LOOPED}{letter}')
        step('what comes later')
        journalled(b)
        shared(b)
        held(28, f'{len(PLACES)} real places, a loop device over each, data=journal for a file, shared extents')
        step(f'F29: {SWITCHES} switches')
        elsewhere(b)
        for name in ('ext4', 'xfs'):
            in_place(b, name)
        held(29, f'the same extents after {SWITCHES} switches on ext4 and on xfs; on btrfs others')
        b.quiet('rooks.example')


bed.main(run)
