"""The memory of a process, seen from outside: an image of it, a core file, and which texts stand where.

An image has every page that is there and may hold what the process wrote: not those that still are as a program,
a library or the store's own file has them. Texts are looked for whole in each form of tests/system/marks.py, and
in pieces of PIECE bytes, so that half a text counts as well.
"""
import contextlib
import mmap
import os
import re
import shlex
import signal
import struct
import subprocess
import time

import bed
import marks
from bed import need

PAGE = 4096
PIECE = 12
PAUSES = (0, 0.005, 0.05)	# seconds between images
PRESENT, SWAPPED, OF_FILE = 1 << 63, 1 << 62, 1 << 61	# of /proc/PID/pagemap


class Region:
    def __init__(self, begin, end, name, private):
        self.begin, self.end, self.name, self.private = begin, end, name, private
        self.locked = self.hidden = self.left_out = False
        self.stack = False


def regions(pid):
    """Readable mappings, but for the store's own file: that is looked at as a file."""
    found = []
    with open(f'/proc/{pid}/smaps', encoding='ascii') as f:
        for line in f:
            m = re.match(r'([0-9a-f]+)-([0-9a-f]+) ([r-])..([ps]) \S+ \S+ \d+ *(.*)', line)
            if m:
                r = Region(int(m[1], 16), int(m[2], 16), m[5] or 'anonymous', m[4] == 'p')
                if m[3] == 'r' and m[5] not in ('[vvar]', '[vsyscall]') and not m[5].endswith('data.mdb'):
                    found.append(r)
            elif line.startswith('VmFlags:'):
                flags = line.split()[1:]
                r.locked, r.left_out = 'lo' in flags, 'dd' in flags
                r.hidden = 'secretmem' in r.name
    return found


def state(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        return f.read().rsplit(')', 1)[1].split()[0]


@contextlib.contextmanager
def stopped(pid, go_on=True):
    """The process stands still; go_on=False: it stood before, and goes on standing."""
    if go_on:
        os.kill(pid, signal.SIGSTOP)
        bed.soon(lambda: state(pid) in 'Tt', 'it stands still')
    try:
        yield
    finally:
        if go_on:
            os.kill(pid, signal.SIGCONT)


def stacks(pid):
    """Stack pointers of a process that stands still."""
    found = []
    for task in os.listdir(f'/proc/{pid}/task'):
        with contextlib.suppress(OSError), open(f'/proc/{pid}/task/{task}/syscall', encoding='ascii') as f:
            words = f.read().split()
            if words[0] != 'running':
                found.append(int(words[-2], 16))
    return found


class Image:
    """parts: (place, bytes) of neighbouring pages. Place is heap, stack, locked memory, or a mapping's name."""

    def __init__(self, pid, go_on=True):
        self.parts, self.hidden = [], 0
        with stopped(pid, go_on), contextlib.ExitStack() as files:
            try:
                pages, memory = (files.enter_context(open(f'/proc/{pid}/{name}', 'rb', buffering=0))
                                 for name in ('pagemap', 'mem'))
            except PermissionError as e:
                raise bed.Skipped('the memory of a process cannot be read here') from e
            at = stacks(pid)
            for r in regions(pid):
                r.stack = any(r.begin <= p < r.end for p in at)
                for begin, end in present(r, pages):
                    self.take(r, memory, begin, end)

    def take(self, region, memory, begin, end):
        memory.seek(begin)
        try:
            data = memory.read(end - begin)
            need(len(data) == end - begin, 'half of a mapping was read')
        except OSError:		# what not even the kernel maps, or a page of a file beyond its end
            self.hidden += end - begin if region.hidden else 0
            return
        self.parts.append((place(region), data))

    def write(self, path):
        """For forensic_scan; between parts that were no neighbours stand zeros."""
        with open(path, 'wb') as f:
            for _, data in self.parts:
                f.write(data + bytes(64))

    def found(self, texts, forms=True):
        """{place: {(text, form)}}; without forms only pieces as they are."""
        places = {}
        for where, data in self.parts:
            places.setdefault(where, []).append(without_zeros(data))
        found = {where: search(b'\0'.join(data), texts, forms) for where, data in places.items()}
        return {where: hits for where, hits in found.items() if hits}

    def bytes(self):
        return sum(len(data) for _, data in self.parts)

    def __contains__(self, data):
        return any(data in part for _, part in self.parts)


def place(region):
    return ('locked memory' if region.locked else 'stack' if region.stack or region.name == '[stack]' else
            'heap' if region.name in ('[heap]', 'anonymous') else os.path.basename(region.name))


def present(region, pages):
    """(begin, end) of each stretch of pages that are there."""
    pages.seek(region.begin // PAGE * 8)
    data = pages.read((region.end - region.begin) // PAGE * 8)
    begin = None
    for n, (entry,) in enumerate(struct.iter_unpack('<Q', data)):
        there = entry & (PRESENT | SWAPPED) and not (region.private and entry & OF_FILE)
        if there and begin is None:
            begin = region.begin + n * PAGE
        elif not there and begin is not None:
            yield begin, region.begin + n * PAGE
            begin = None
    if begin is not None:
        yield begin, region.begin + len(data) // 8 * PAGE


def without_zeros(data):
    """Most pages are nothing but zeros; what stands across two of the others stays together."""
    pages = (data[i:i + PAGE] for i in range(0, len(data), PAGE))
    return b''.join(page for page in pages if page.strip(b'\0'))


def pieces_of(text):
    """Of any stretch of 2 * PIECE - 1 bytes of the text one piece is whole."""
    data = text.encode()
    return [data[i:i + PIECE] for i in range(0, len(data) - PIECE + 1, PIECE)]


def search(data, texts, forms=True):
    """{(text, form)}"""
    hits = {(t, 'a piece') for t in texts for p in pieces_of(t) if p in data}
    return hits | ({(texts[i], form) for i, form in marks.found(data, texts)} if forms else set())


def core(pid, path, everything):
    """A core file with the registers of all threads, made by gdb. everything: also what the kernel would leave out
    of one (MADV_DONTDUMP)."""
    done = subprocess.run(['gdb', '-nx', '-batch', '-ex', 'set auto-solib-add off', '-p', str(pid), '-ex',
                           f'set dump-excluded-mappings {"on" if everything else "off"}', '-ex',
                           f'generate-core-file {path}'], capture_output=True, text=True, check=False, timeout=60)
    if not os.path.exists(path) and 'ptrace' in done.stderr:
        raise bed.Skipped('no debugger may be put to a process here')
    need(os.path.exists(path), f'gdb: {done.stderr[-300:]}')
    return path


def tool(b, stop, text, *args):
    """A core of the tool where gdb is told to stop it, and what it wrote until then."""
    core, out = b.path('core'), b.path('out')
    with open(b.path('in'), 'w', encoding='utf-8') as f:
        f.write(text)
    subprocess.run(['gdb', '-nx', '-batch', '-ex', 'set auto-solib-add off', '-ex', 'set startup-with-shell on',
                    '-ex', stop, '-ex', f'run {shlex.join(args)} <{b.path("in")} >{out}',
                    '-ex', f'generate-core-file {core}', '-ex', 'kill',
                    os.path.join(b.bin, 'pdvault')], env={**os.environ, **b.settings()},
                   capture_output=True, check=False, timeout=120)
    os.unlink(b.path('in'))
    need(os.path.exists(core), f'no core of the tool: {stop}')
    with open(out, encoding='utf-8') as f:
        return core, f.read()


def file_found(path, texts):
    """{(text, form)} of a file as large as a core."""
    with open(path, 'rb') as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return search(without_zeros(data), texts)


def lifetime(pid, texts, patience=20.0):
    """(seconds, places): when a text was last seen, and where it was; None: never. Images come first and the search
    after them, since a search takes longer than most texts live."""
    began, last, places = time.monotonic(), None, set()
    while True:
        series = []
        for pause in PAUSES:
            time.sleep(pause)
            series.append((time.monotonic() - began, Image(pid)))
        for at, image in series:
            found = image.found(texts, forms=False)
            if found:
                last = at
                places |= set(found)
        if not found:
            return last, places
        need(at < patience, f'still there after {at:.1f} s: {found}')


def gone(look, patience=20.0):
    """Until look() finds nothing."""
    end = time.monotonic() + patience
    while True:
        found = look()
        if not found:
            return
        need(time.monotonic() < end, f'still there: {found}')
