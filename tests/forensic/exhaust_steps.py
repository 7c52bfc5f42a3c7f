"""What test_exhaust.py and test_rotate.py share: every 32-byte window of memory and files as a key."""
import os
import subprocess

import crash
import finder
import memory
import reader
from bed import need, say

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
