"""Who finds a disk, written from docs/FORMAT.md and LMDB's pages: every box that ever lay in them, and what of that
opens with some keys, with the keys that lie in what opens, and so on, until nothing more does.
"""
import hashlib

import reader
import tape
from reader import BUCKET, KEYRING, PAGE, RECORD, ROOT_PAGE, TRANSACTION, number

PAGE_LEN, HEAD = 4096, 16
LEAF, OVERFLOW, LEAF2 = 2, 4, 0x20
BIG_DATA, SUB_DATA = 1, 2
VERSIONS = range(1, 4)		# of a category's key: a new one is made when a category is used again
LONG = 2000			# a value above this lies in pages of its own


class Piece:
    """A box somewhere, and the contexts that it can have."""

    def __init__(self, kind, data, contexts, slot=None, category=None):
        self.kind, self.data, self.contexts, self.slot, self.category = kind, data, contexts, slot, category

    def __repr__(self):
        return f'kind {self.kind}, {len(self.data)} bytes, slot {self.slot}, category {self.category}'


class Find:
    """Everything that was found: rows by key and value, and long values without a key."""

    def __init__(self):
        self.rows, self.long = set(), set()

    def add_page(self, place, page):
        """One page of LMDB that belongs at that number; what is none, or another, is passed over."""
        flags, lower = int.from_bytes(page[10:12], 'little'), int.from_bytes(page[12:14], 'little')
        if int.from_bytes(page[:8], 'little') != place or not flags & (LEAF | OVERFLOW) or flags & LEAF2:
            return
        if flags & OVERFLOW:
            count = int.from_bytes(page[12:16], 'little')
            self.long.add(page[HEAD:count * PAGE_LEN])
            return
        for i in range((lower - HEAD) // 2):
            at = int.from_bytes(page[HEAD + 2 * i:HEAD + 2 * i + 2], 'little')
            low, high, node, size = (int.from_bytes(page[at + n:at + n + 2], 'little') for n in (0, 2, 4, 6))
            key, start, length = page[at + 8:at + 8 + size], at + 8 + size, low | high << 16
            if not node & (BIG_DATA | SUB_DATA) and start + length <= PAGE_LEN:
                self.rows.add((key, page[start:start + length]))

    def add_bytes(self, offset, data):
        """A stretch of a store's file."""
        for at in range(-offset % PAGE_LEN, len(data) - PAGE_LEN + 1, PAGE_LEN):
            self.add_page((offset + at) // PAGE_LEN, data[at:at + (64 << 10) + PAGE_LEN])

    def add_tape(self, calls, path):
        for c in calls:
            if c.kind == tape.WRITE and c.path == path:
                self.add_bytes(c.offset, c.data)

    def add_dump(self, text):
        """What mdb_dump printed."""
        lines = [bytes.fromhex(x) for x in text.split('\n') if x.startswith(' ')]
        for key, value in zip(lines[::2], lines[1::2], strict=True):
            self.rows.add((key, value))
            if len(value) > LONG:
                self.long.add(value)

    def subjects(self):
        """slot -> ids, of all who ever lived."""
        found = {}
        for key, value in self.rows:
            if len(key) == 16 and len(value) == 17 and value[0] == 1:
                found.setdefault(number(value[1:9]), set()).add(key)
        return found

    def pieces(self, vault, epochs):
        """All boxes, each once, with every context that it can have. vault: the id; epochs: how many there were."""
        subjects, found = self.subjects(), {}
        records = {}
        for key, value in sorted(self.rows):
            if len(key) == 13 or (len(key) == 17 and key[8] == 1 and len(value) > 73):
                kind = RECORD if len(key) == 13 else TRANSACTION
                slot, category = number(key[:8]), key[8] if kind == RECORD else 3
                records[key] = contexts = [
                    reader.context(kind, vault, subject=s, category=category, record=number(key[9:]), version=v)
                    for s in subjects.get(slot, ()) for v in VERSIONS]
                found[value] = Piece(kind, value, contexts, slot, category)
                continue
            piece = of_tree(key, value, vault, epochs)
            if piece is not None:
                found[value] = piece
        # Any subject's: who reads a page alone does not know whose it is.
        every = [reader.context(RECORD, vault, subject=s, category=c, version=v)
                 for ids in subjects.values() for s in ids for c in (1, 3) for v in VERSIONS]
        for data in self.long:
            found.setdefault(data, Piece(RECORD, data, every))
        return list(found.values())


def of_tree(key, value, vault, epochs):
    if (len(key), len(value)) == (10, 1113):
        return Piece(PAGE, value, [reader.context(PAGE, vault, key[0], key[1], number(key[2:]))])
    if len(key) == 9 and len(value) in (153, 297, 569, 1113):
        return Piece(BUCKET, value, [reader.context(BUCKET, vault, reader.TREE_B, key[0], number(key[1:]))])
    if len(key) == 8 and len(value) in (265, 537):
        return Piece(KEYRING, value, [reader.context(KEYRING, vault, reader.TREE_S, 0, number(key))], number(key))
    if key == b'root':
        return Piece(ROOT_PAGE, value, [reader.context(ROOT_PAGE, vault, index=e) for e in range(1, epochs + 1)])
    return None


def keys_in(kind, plain):
    """Every key that an opened box holds."""
    at = {ROOT_PAGE: range(24, 184, 32), PAGE: range(0, 1024, 32),
          KEYRING: range(56, len(plain) - 39, 40)}.get(kind, ())
    return {plain[i:i + 32] for i in at} - {bytes(32)}


def windows_in(_, plain):
    """Whatever might be a key in an opened box, wherever it stands."""
    return {plain[i:i + 32] for i in range(len(plain) - 31)}


def open_all(pieces, keys, keys_in=keys_in):
    """What opens: {piece: (context, plaintext)}; all keys that were found on the way; how many were tried.
    keys_in(kind, plain): what to try of an opened box.
    """
    opened, known, new, tried = {}, set(keys), set(keys), 0
    while new:
        fresh = set()
        for piece in pieces:
            if piece in opened:
                continue
            nonce, com = piece.data[1:25], piece.data[25:57]
            for ctx in piece.contexts:
                both = nonce + ctx
                tried += len(new)
                key = next((k for k in new
                            if hashlib.blake2b(both, key=k, digest_size=64).digest()[32:] == com), None)
                if key is not None:
                    plain = reader.open_box(key, ctx, piece.data)
                    fresh |= keys_in(piece.kind, plain)
                    opened[piece] = ctx, plain
                    break
        # What did not open with the keys of before is tried with the new ones only.
        new = fresh - known
        known |= fresh
    return opened, known, tried
