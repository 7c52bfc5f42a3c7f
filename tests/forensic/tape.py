"""Reads what tape.c recorded, and builds the disk as it may have been at any point of it: at which the power went.

A file on the disk is a length and sectors of 512 bytes. Since the last flush of the file the disk may hold, of
each sector, what was flushed or anything that was written since; so may the length. That covers writes that are
dropped, torn between sectors, and carried out in another order. A write through a descriptor with O_DSYNC
flushes the pages that it touched. Folders are taken to be durable at once, and every flush to be true.
"""
import hashlib
import os
import struct

START, OPEN, CLOSE, WRITE, TRUNCATE, ALLOCATE, FLUSH, RANGE, MSYNC, MAP, RENAME, UNLINK, SEND = range(1, 14)
NAMES = ('', 'start', 'open', 'close', 'write', 'truncate', 'allocate', 'flush', 'range', 'msync', 'map', 'rename',
         'unlink', 'send')
CHANGES = (WRITE, TRUNCATE, ALLOCATE, FLUSH, RENAME, UNLINK)	# calls that a crash can come before
HEAD = struct.Struct('<IIQQQqQIIII')
MAGIC = 0x45504154
SECTOR, PAGE = 512, 4096
KEEP_SIZE = 1


class Call:
    def __init__(self, head, path, data):
        (_, self.kind, self.number, self.offset, self.length, self.result, self.time, self.flags, self.fd,
         _, _) = head
        self.path, self.data = path, data

    @property
    def flushes(self):
        return self.kind == FLUSH or (self.kind == WRITE and bool(self.flags & os.O_DSYNC))

    def __repr__(self):
        return (f'{NAMES[self.kind]} {os.path.basename(self.path)} +{self.offset} {self.length}'
                f'{" dsync" if self.kind == WRITE and self.flushes else ""} = {self.result}')


def each(path, cut=False):
    """All calls of all processes, in order. cut: a process was killed, perhaps in the middle of a record."""
    with open(path, 'rb') as f:
        while data := f.read(HEAD.size):
            if cut and len(data) < HEAD.size:
                return
            head = HEAD.unpack(data)
            if head[0] != MAGIC:
                raise ValueError('not a record')
            name, body = f.read(head[-2]), f.read(head[-1])
            if len(name) + len(body) < head[-2] + head[-1]:
                if cut:
                    return
                raise ValueError('the tape ends within a record')
            yield Call(head, name.decode(), body)


def read(path, cut=False):
    """The same as a list."""
    return list(each(path, cut))


def environment(bin, tape, *below, **more):
    """For a program that is to be recorded."""
    return {'LD_PRELOAD': os.path.join(bin, 'forensic_tape.so'), 'PDV_TAPE': tape,
            'PDV_TAPE_BELOW': ':'.join(below), **more}


class File:
    """durable: {sector's number: bytes}; since: {number: what was written since, oldest first}."""

    def __init__(self):
        self.durable, self.since = {}, {}
        self.length, self.lengths = 0, []

    def now(self, n):
        return self.since[n][-1] if n in self.since else self.durable.get(n, bytes(SECTOR))

    def latest_length(self):
        return self.lengths[-1] if self.lengths else self.length

    def grow(self, upto):
        if upto > self.latest_length():
            self.lengths.append(upto)

    def write(self, offset, data):
        at, end = offset, offset + len(data)
        while at < end:
            n, skip = divmod(at, SECTOR)
            count = min(SECTOR - skip, end - at)
            old = self.now(n)
            new = old[:skip] + data[at - offset:at - offset + count] + old[skip + count:]
            self.since.setdefault(n, []).append(new)
            at += count
        self.grow(end)

    def truncate(self, length):
        self.lengths.append(length)
        for n in {*self.durable, *self.since}:
            if n * SECTOR >= length:
                self.since.setdefault(n, []).append(bytes(SECTOR))

    def flush(self, first=0, last=None):
        """The sectors from first to last, and the length."""
        for n in list(self.since):
            if n >= first and (last is None or n <= last):
                self.durable[n] = self.since.pop(n)[-1]
        self.length, self.lengths = self.latest_length(), []

    def build(self, choose):
        """(length, sectors) of a file as it may be. choose gets a key (a sector's number or 'length') and the
        possible values, oldest first, the flushed one at the beginning."""
        sectors = dict(self.durable)
        for n, versions in self.since.items():
            sectors[n] = choose(n, [self.durable.get(n, bytes(SECTOR)), *versions])
        length = choose('length', [self.length, *self.lengths]) if self.lengths else self.length
        # What was written is there only in a file that is long enough.
        top = max((n for n, data in sectors.items() if data.strip(b'\0')), default=-1)
        return max(length, min((top + 1) * SECTOR, self.latest_length())), sectors


class Disk:
    """The files, from the beginning of a tape on."""

    def __init__(self):
        self.files = {}
        self.last = None		# the last call that was applied

    @classmethod
    def of(cls, image):
        """A disk that holds this image, all of it flushed."""
        disk = cls()
        for path, (length, sectors) in image.items():
            disk.files[path] = f = File()
            f.length, f.durable = length, dict(sectors)
        return disk

    def apply(self, c):
        self.last = c
        if c.result < 0:
            return
        if c.kind == OPEN and (c.flags & os.O_CREAT):
            self.files.setdefault(c.path, File())
            if c.flags & os.O_TRUNC:
                self.files[c.path].truncate(0)
        elif c.kind == RENAME:
            self.files[c.data.decode()] = self.files.pop(c.path)
        elif c.kind == UNLINK:
            self.files.pop(c.path, None)
        elif c.path in self.files:
            self.change(self.files[c.path], c)

    def change(self, f, c):
        if c.kind == WRITE:
            f.write(c.offset, c.data)
            if c.flushes and c.data:
                first, last = c.offset // PAGE, (c.offset + len(c.data) - 1) // PAGE
                f.flush(first * (PAGE // SECTOR), (last + 1) * (PAGE // SECTOR) - 1)
        elif c.kind == TRUNCATE:
            f.truncate(c.length)
        elif c.kind == ALLOCATE and not c.flags & KEEP_SIZE:
            f.grow(c.offset + c.length)
        elif c.kind == FLUSH:
            f.flush()

    # Variants: functions that choose, made for each file anew.

    def written(self):
        """As if the process was killed and the kernel lived."""
        return self.build(lambda path: lambda n, versions: versions[-1])

    def flushed(self):
        """Nothing that was not flushed."""
        return self.build(lambda path: lambda n, versions: versions[0])

    def torn(self, cut):
        """All writes, but of the last one only the sectors below the cut."""
        c = self.last

        def maker(path):
            def choose(n, versions):
                mine = n != 'length' and path == c.path and n * SECTOR >= c.offset + cut
                return versions[-2] if mine and c.kind == WRITE else versions[-1]
            return choose
        return self.build(maker)

    def only_last(self):
        """Re-ordered: the last write is on the disk and those before it are not."""
        c = self.last

        def maker(path):
            def choose(n, versions):
                mine = (c.kind == WRITE and path == c.path and n != 'length' and
                        c.offset // SECTOR <= n <= (c.offset + len(c.data) - 1) // SECTOR)
                return versions[-1] if mine else versions[0]
            return choose
        return self.build(maker)

    def some(self, chance, size):
        """A random version of each stretch of that many bytes."""
        def maker(path):
            drawn = {}

            def choose(n, versions):
                place = n if n == 'length' else n * SECTOR // size
                share = drawn.setdefault(place, chance.random())
                return versions[int(share * len(versions))]
            return choose
        return self.build(maker)

    def build(self, maker):
        return {path: f.build(maker(path)) for path, f in self.files.items()}

    def pending(self):
        return any(f.since or f.lengths for f in self.files.values())


def digest(image, paths):
    """Two images are the same if this is the same."""
    h = hashlib.blake2b(digest_size=16)
    for path in paths:
        length, sectors = image[path]
        h.update(path.encode() + length.to_bytes(8, 'big'))
        for n in sorted(sectors):
            if sectors[n].strip(b'\0'):
                h.update(n.to_bytes(8, 'big') + sectors[n])
    return h.digest()


def content(part):
    """The bytes of one file of an image."""
    length, sectors = part
    data = bytearray(length)
    for n, sector in sectors.items():
        if n * SECTOR < length:
            data[n * SECTOR:(n + 1) * SECTOR] = sector[:length - n * SECTOR]
    return bytes(data)


def put(part, path):
    """One file of an image onto the disk; what is there is replaced."""
    length, sectors = part
    with open(path, 'wb') as f:
        os.chmod(path, 0o600)
        for n, sector in sorted(sectors.items()):
            if n * SECTOR < length:
                f.seek(n * SECTOR)
                f.write(sector[:length - n * SECTOR])
        f.truncate(length)
