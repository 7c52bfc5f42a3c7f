#!/usr/bin/python3 -B
"""F1, F2 without any list of keys: every 32-byte window, at all alignments, of the server's memory, the anchor, the
key file, the certificates' keys and the logs is tried as a key on every box of the store before and after the
erasure, and so is what the key file opens in any slot of the anchor; what opens is searched for keys, and these are
tried again, until nothing more opens. A small vault, since that is many tries. The control is the same search before
the erasure: it opens everything there is.
"""
import os
import subprocess

import finder
import lab
import reader
from bed import held, main, need, same, say, step

PEOPLE = 3
MARK = 'Marker Of Rooks'


def create(b, i):
    return b.create({'name': {'full': f'{MARK} {i}'}, 'emails': [f'rook{i}@rooks.example']},
                    {'legal_name': f'{MARK} {i}'})


def as_piece(box):
    return finder.Piece(box.kind, box.data, [box.context])


class Search:
    """What a finder of memory and small files can do with the boxes of a moment."""

    def __init__(self, b, boxes, name):
        self.boxes = boxes
        files = [b.path(n) for n in self.files(b, name)]
        with open(b.path('boxes'), 'wb') as f:
            f.write(b''.join(x.data[1:57] + x.context for x in boxes))
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
        self.opened, known, _ = finder.open_all([as_piece(x) for x in boxes], self.keys)
        self.open_data = {p.data for p in self.opened}
        say(f'{self.windows} windows on {len(boxes)} boxes: {len(self.keys)} are keys, {len(known)} in the end; '
            f'{len(self.opened)} boxes open')

    @staticmethod
    def roots(b):
        ident, kek = reader.read_key_file(b.path('key'))
        return {slot.root(ident, kek) for slot in reader.read_anchor(b.path('anchor')) if slot.valid}

    @staticmethod
    def files(b, name):
        """The memory that is written to, without what is only mapped from files; and the small files."""
        parts = b.image('whole')
        with open(b.path('whole'), 'rb') as f, open(b.path(name), 'wb') as out:
            for at, length, what in parts:
                if not what.startswith('/') or 'secretmem' in what:
                    f.seek(at)
                    out.write(f.read(length))
        os.unlink(b.path('whole'))
        small = [n for n in b.files() if not n.endswith('.mdb')]
        return [name, *small, *(f'certificates/{n}' for n in os.listdir(b.path('certificates')) if n.endswith('.key'))]


class Moment:
    def __init__(self, b, name):
        reader.copy(b.dir, b.path(name))
        self.vault = reader.read(b.path(name))


def theirs(vault, subject):
    """Boxes that are the person's own: keyring and records."""
    return {x.data for x in vault.boxes if x.owner == subject}


def raw(subject):
    import base64
    return base64.b32decode(subject[4:].upper() + '======')


def run(bin):
    lab.check_build(bin)
    with lab.Lab(bin) as b:
        b.init()
        b.start()
        people = [create(b, i) for i in range(PEOPLE)]
        victim = raw(people[1])
        for p in (people[0], people[2], people[1]):	# whose keys were used last is to be erased
            b.cli('subject', 'get', p)
        before = Moment(b, 'before').vault
        step('the control: before the erasure everything opens')
        found = Search(b, before.boxes, 'image-before')
        need(before.root in found.keys, 'the root key is in no window')
        same(found.open_data, {x.data for x in before.boxes}, 'boxes that open')

        step('after it, the boxes of before and of now')
        b.cli('subject', 'erase', people[1], '--yes')
        after = Moment(b, 'after').vault
        now = {x.data for x in after.boxes}
        found = Search(b, [*before.boxes, *(x for x in after.boxes if x.data not in {y.data for y in before.boxes})],
                       'image-after')
        gone = theirs(before, victim)
        need(len(gone) >= 3, 'the person had no boxes')
        same(len(found.open_data & gone), 0, 'F2: boxes of the erased that open')
        same(found.open_data & now, now, 'control: boxes of now that open')
        same([x.kind for x in before.boxes if x.data in found.open_data - now], [], 'F2: boxes of before that open')
        held(1, f'{found.windows} windows of memory and small files, each tried on {len(found.boxes)} boxes')
        held(2, 'whatever opens, and what is in it, leads to no box of the erased: no list of keys was asked')
        same(b.stop(), 0, 'exit status')


main(run)
