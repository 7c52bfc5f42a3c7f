"""What the forensic tests share: a vault whose keys are all registered, images of the server's memory, and the
search for keys in them. Only for builds with PDV_KEY_REGISTRY, and as a user who may read the memory of
another process of its own (root).
"""
import hashlib
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))

import bed	# noqa: E402
from bed import need	# noqa: E402

LARGEST = 1 << 30	# bytes of a mapping that are read; larger ones are reservations
CHUNK = 1 << 20


def key_id(key):
    return hashlib.blake2b(key, digest_size=16).digest()


class Lab(bed.Bed):
    def __init__(self, bin):
        super().__init__(bin)
        self.registry = self.path('registry')
        self.environment['PDVAULT_KEY_REGISTRY'] = self.registry
        self.conf['vault'].update(map_size='64M')

    def registered(self):
        """Every key made so far, in order: (id, purpose)."""
        with open(self.registry, encoding='ascii') as f:
            return [(bytes.fromhex(line[:32]), int(line[33], 16)) for line in f]

    def maps(self):
        """Readable mappings of the server: (begin, end, name). The store's own file is looked at as a file."""
        found = []
        with open(f'/proc/{self.process.pid}/maps', encoding='ascii') as f:
            for line in f:
                m = re.match(r'([0-9a-f]+)-([0-9a-f]+) (r)\S+ \S+ \S+ \d+ *(.*)', line)
                if m and m[4] not in ('[vvar]', '[vsyscall]') and not m[4].endswith('data.mdb'):
                    found.append((int(m[1], 16), int(m[2], 16), m[4] or 'anonymous'))
        return found

    def image(self, name):
        """All of the server's memory into a file: [(offset in the file, length, name)]."""
        parts, at = [], 0
        self.process.send_signal(signal.SIGSTOP)
        try:
            with open(f'/proc/{self.process.pid}/mem', 'rb', buffering=0) as memory, \
                    open(self.path(name), 'wb') as out:
                for begin, end, what in self.maps():
                    if end - begin > LARGEST:
                        continue
                    parts.append((at, end - begin, what))
                    for place in range(begin, end, CHUNK):
                        memory.seek(place)
                        try:
                            data = memory.read(min(CHUNK, end - place))
                        except OSError:		# a guard page, or hidden memory
                            data = b''
                        out.write(data.ljust(min(CHUNK, end - place), b'\0'))
                    at += end - begin
        except PermissionError as e:
            raise bed.Skipped('the memory of a process cannot be read here') from e
        finally:
            self.process.send_signal(signal.SIGCONT)
        return parts

    def scan(self, ids, *names):
        """Where these keys stand in the files: [(file, offset, id)]; and how many windows were tried."""
        with open(self.path('ids'), 'wb') as f:
            f.write(b''.join(ids))
        done = subprocess.run([os.path.join(self.bin, 'forensic_scan'), self.path('ids'),
                               *(self.path(n) for n in names)], capture_output=True, text=True, check=True)
        lines = done.stdout.split('\n')
        found = []
        for line in lines[:-2]:
            path, offset, ident = line.rsplit(' ', 2)
            found.append((os.path.basename(path), int(offset), bytes.fromhex(ident)))
        return found, int(lines[-2].split()[1])

    def files(self):
        """Everything that the vault left on the disk, without what this test wrote."""
        names = ['anchor', 'key', 'conf']
        names += [f'store/{n}' for n in os.listdir(self.path('store'))]
        return names + [f'log.{n}' for n in range(1, self.lives + 1)]


def part_of(parts, offset):
    for at, length, name in parts:
        if at <= offset < at + length:
            return f'{os.path.basename(name)}+{offset - at:#x}'
    raise ValueError(offset)


def check_build(bin):
    """Registered keys are the point of all this."""
    need(os.path.exists(os.path.join(bin, 'forensic_scan')), 'not a build with PDV_KEY_REGISTRY')
