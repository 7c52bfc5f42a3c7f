#!/usr/bin/python3 -B
"""F1, F2 without any list of keys: every 32-byte window, at all alignments, of the server's memory in a core, of
the store's file, the anchor, the key file, the certificates' keys and the logs is tried as a key on every box that
was ever written to the store, and so is what the key file opens in any slot of the anchor; of what opens every window
is tried again, until nothing more opens. A small vault, since that is many tries. The control is the
same search before the erasure: it opens everything there is.
"""
import os
import subprocess

import crash
import finder
import lab
import memory
import reader
import wire
from bed import held, main, need, same, say, step

PEOPLE = 3
MARK = 'Marker Of Rooks'


def create(b, i):
    return b.create({'name': {'full': f'{MARK} {i}'}, 'emails': [f'rook{i}@rooks.example']},
                    {'legal_name': f'{MARK} {i}'})


def pieces(b, vault):
    """Every box that was written so far, with each context that it can have."""
    find = finder.Find()
    find.add_tape(b.calls(), b.path(crash.STORE))
    found = find.pieces(vault.vault, vault.epoch)
    need({x.data for x in vault.boxes} <= {p.data for p in found}, 'a box of now that is not on the tape')
    return found


class Search:
    """What a finder of memory and files can do with these boxes."""

    def __init__(self, b, boxes, name):
        files = [b.path(n) for n in self.files(b, name)]
        tries = [(p, c) for p in boxes for c in p.contexts]
        with open(b.path('boxes'), 'wb') as f:
            f.write(b''.join(p.data[1:57] + c for p, c in tries))
        done = subprocess.run([os.path.join(b.bin, 'forensic_exhaust'), b.path('boxes'), *files],
                              capture_output=True, text=True, check=True)
        lines = done.stdout.split('\n')
        self.windows = int(lines[-2].split()[1])
        self.keys = set()
        for line in lines[:-2]:
            path, offset, _ = line.rsplit(' ', 2)
            with open(path, 'rb') as f:
                f.seek(int(offset))
                self.keys.add(f.read(reader.KEY))
        self.keys |= self.roots(b)
        opened, known, _ = finder.open_all(boxes, self.keys, finder.windows_in)
        self.opened = {p.data for p in opened}
        self.what = f'{self.windows} windows of a core and files on {len(boxes)} boxes ({len(tries)} contexts)'
        say(f'{self.what}: {len(self.keys)} are keys, {len(known)} in the end; {len(opened)} boxes open')

    @staticmethod
    def roots(b):
        ident, kek = reader.read_key_file(b.path('key'))
        return {slot.root(ident, kek) for slot in reader.read_anchor(b.path('anchor')) if slot.valid}

    @staticmethod
    def files(b, name):
        """The memory and the registers, as a core; and the files."""
        memory.core(b.process.pid, b.path(name), everything=True)
        keys = [f'certificates/{n}' for n in os.listdir(b.path('certificates')) if n.endswith('.key')]
        return [name, *b.files(), *keys]


def moment(b, name):
    reader.copy(b.dir, b.path(name))
    return reader.read(b.path(name))


def run(bin):
    lab.check_build(bin)
    with crash.Bench(bin) as b:
        b.record()
        b.init()
        b.start()
        people = [create(b, i) for i in range(PEOPLE)]
        for p in (people[0], people[2], people[1]):	# whose keys were used last is to be erased
            b.cli('subject', 'get', p)
        step('the control: before the erasure everything opens')
        before = moment(b, 'before')
        found = Search(b, pieces(b, before), 'core-before')
        need(before.root in found.keys, 'the root key is in no window')
        need({x.data for x in before.boxes} <= found.opened, 'boxes of now that do not open')
        victim = wire.subject_id(people[1])
        gone = {x.data for x in before.boxes if x.owner == victim}
        need(len(gone) >= 3, 'the person has no boxes')

        step('after it')
        b.cli('subject', 'erase', people[1], '--yes')
        after = moment(b, 'after')
        boxes = pieces(b, after)
        found = Search(b, boxes, 'core-after')
        same(len(found.opened & gone), 0, 'F2: boxes of the erased that open')
        now = {x.data for x in after.boxes}
        same(found.opened & now, now, 'control: boxes of now that open')
        same([p.kind for p in boxes if p.data in found.opened - now], [], 'F2: boxes of before that open')
        held(1, found.what)
        held(2, 'whatever opens, and what is in it, leads to no box of the erased: no list of keys was asked')
        same(b.stop(), 0, 'exit status')


main(run)
