"""An independent reader of the vault's files, written from docs/FORMAT.md: with the anchor and the key file it opens
everything that can be opened, from the root down. It shares no code with the server.
"""
import hashlib
import os

import lmdb
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open
from nacl.exceptions import CryptoError

KEY, NONCE, TAG = 32, 24, 16
SLOT, BLOCK, STRIPES = 69632, 4096, 65536
ROOT_WRAP, ROOT_PAGE, PAGE, BUCKET, KEYRING, RECORD, TRANSACTION = range(1, 8)
TREE_S, TREE_B, B_TOP, FANOUT = 1, 2, 12, 32
CATEGORIES = ('IDENTITY', 'CREDENTIAL', 'BILLING', 'CONTENT', 'USAGE', 'DEVICE', 'PREFERENCES', 'CONSENT')
UNUSED, LIVE, SHREDDED = range(3)
META = {b'format', b'vault', b'epoch', b'root', b'start', b'sequence', b'ledger', b'incarnation',
        b'backups', b'resurrected'}
TABLES = ('meta', 'nodes', 'buckets', 'keyrings', 'subjects', 'records', 'transactions', 'idempotency', 'erasures', 'ledger',
          'litter', 'backups')


class Closed(Exception):
    """A box does not open."""


def number(data):
    return int.from_bytes(data, 'big')


def context(kind, vault, tree=0, level=0, index=0, subject=bytes(16), category=0, record=0, version=0):
    out = (bytes([1, kind]) + vault + bytes([tree, level]) + index.to_bytes(8, 'big') + subject +
           bytes([category]) + record.to_bytes(8, 'big') + version.to_bytes(4, 'big'))
    return out.ljust(64, b'\0')


def split(key, nonce, ctx):
    """The encryption key and the commitment of a box."""
    both = hashlib.blake2b(nonce + ctx, key=key, digest_size=64).digest()
    return both[:32], both[32:]


def tag(key, label, a, b):
    """A keyed tag."""
    data = label.encode().ljust(16, b'\0') + len(a).to_bytes(8, 'big') + a + b
    return hashlib.blake2b(data, key=key, digest_size=16).digest()


def lookup_tag(index_key, kind, value, n=0):
    """Of a value that is normalised: 1 is an email, 2 a phone, 3 an account id."""
    return tag(index_key, 'lookup', bytes([kind]) + n.to_bytes(2, 'big'), value.encode())


def covers(level, index, tag_):
    """Whether a node of tree B is on the way to a tag."""
    return number(tag_[:8]) >> 4 + 5 * level == index


def open_box(key, ctx, box):
    if len(box) <= 1 + NONCE + 32 + TAG or box[0] != 1:
        raise Closed('not a box')
    nonce, com, text = box[1:25], box[25:57], box[57:]
    ek, expected = split(key, nonce, ctx)
    if com != expected:
        raise Closed('another key or context')
    try:
        plain = aead_open(text, b'', nonce, ek)
    except CryptoError as e:
        raise Closed('forged') from e
    plain = plain.rstrip(b'\0')
    if plain[-1:] != b'\x80':
        raise Closed('padding')
    return plain[:-1]


def read_key_file(path):
    with open(path, 'rb') as f:
        word, ident, kek = f.read().split()
    assert word == b'pdvault-key-1'
    return bytes.fromhex(ident.decode()), bytes.fromhex(kek.decode())


class Slot:
    """One of the two slots of the anchor, whatever is in it."""

    def __init__(self, data):
        self.head, self.stripes = data[:BLOCK], data[BLOCK:]
        self.digest = hashlib.blake2b(self.stripes, digest_size=32).digest()
        self.epoch = number(self.head[32:40])
        self.vault = self.head[16:32]
        self.commitment = self.head[40:72]
        check = hashlib.blake2b(self.head[:4064] + self.digest, digest_size=32).digest()
        self.valid = self.head[:8] == b'pdvslot\0' and check == self.head[4064:]

    def wrap_key(self, kek):
        return hashlib.blake2b(b'pdvault wrap' + self.digest, key=kek, digest_size=32).digest()

    def root(self, ident, kek):
        for i in range(number(self.head[10:12])):
            wrap = self.head[96 + 192 * i:96 + 192 * (i + 1)]
            if wrap[:16] == ident:
                return open_box(self.wrap_key(kek), context(ROOT_WRAP, self.vault, index=self.epoch),
                                wrap[48:169])
        raise Closed('no wrap of this provider')


def read_anchor(path):
    with open(path, 'rb') as f:
        data = f.read()
    assert len(data) == 2 * SLOT
    return [Slot(data[:SLOT]), Slot(data[SLOT:])]


class Box:
    """A sealed row: what it is, its bytes, and where its key is kept, which says whose it is."""

    def __init__(self, kind, ctx, data, key, owner=None):
        self.kind, self.context, self.data, self.key, self.owner = kind, ctx, data, key, owner

    def open(self, key=None):
        return open_box(key or self.key, self.context, self.data)

    def inner_key(self):
        return split(self.key, self.data[1:25], self.context)[0]


def row_of(rows, table, key):
    """What a key in a page above is for: a key without its row is one that was kept."""
    if key not in rows[table]:
        raise Closed(f'a place in a page has a key, and {table} no row of it')
    return rows[table][key]


def need_slot(by_slot, key, table):
    if number(key[:8]) not in by_slot:
        raise Closed(f'a row of {table} belongs to nobody who can be reached')


class Person:
    def __init__(self, plain, slot):
        assert len(plain) in (164, 344), 'the length of a keyring'
        plain = plain.ljust(344, b'\0')
        assert plain[48:56] == bytes(8), 'the zeros of a keyring'
        self.id, self.pseudonym, self.slot = plain[:16], plain[24:40], number(plain[16:24])
        assert self.slot == slot, 'a keyring in the place of another'
        self.keys, self.states, self.versions = {}, {}, {}
        for c in range(8):
            at = 56 + 36 * c
            self.states[c + 1] = plain[at + 34]
            self.versions[c + 1] = number(plain[at + 32:at + 34])
            if plain[at + 34] == LIVE:
                self.keys[c + 1] = plain[at:at + 32]
            else:
                assert plain[at:at + 32] == bytes(32), 'a key of a category that is not live'
        self.records, self.transactions = {}, {}


class Vault:
    """Opens it all. store: the folder; nothing in it is changed."""

    def __init__(self, store, anchor, key_file):
        self.ident, self.kek = read_key_file(key_file)
        self.slots = read_anchor(anchor)
        with lmdb.open(store, max_dbs=len(TABLES), readonly=True, lock=False) as env:
            with env.begin() as txn:
                self.rows = {t: dict(txn.cursor(env.open_db(t.encode(), txn=txn, create=False)))
                             for t in TABLES}
        assert self.rows['meta'][b'format'] == bytes([0, 0, 0, 3])
        self.vault = self.rows['meta'][b'vault'][:16]
        self.epoch = number(self.rows['meta'][b'epoch'][:8])
        self.boxes = []
        self.people, self.entries = {}, []
        self.open_root()
        self.height_walk(TREE_S, self.height, 0, self.s_top)
        self.b_walk(B_TOP, 0, self.b_top)
        self.open_records()
        met = {PAGE: 'nodes', BUCKET: 'buckets', KEYRING: 'keyrings'}
        for kind, table in met.items():
            found = sum(b.kind == kind for b in self.boxes)
            assert found == len(self.rows[table]), f'rows of {table} that nothing leads to'

    def open_root(self):
        box = self.rows['meta'][b'root']
        commitment = self.rows['meta'][b'epoch'][8:]
        assert hashlib.blake2b(box, digest_size=32).digest() == commitment, 'the root page is another'
        slot = self.slots[self.epoch % 2]
        if not slot.valid or slot.epoch != self.epoch or slot.commitment != commitment:
            raise Closed('the anchor has no slot of this epoch')
        self.root = slot.root(self.ident, self.kek)
        plain = self.add(ROOT_PAGE, context(ROOT_PAGE, self.vault, index=self.epoch), box, self.root).open()
        assert len(plain) == 152 and number(plain[:8]) == self.epoch and plain[17:24] == bytes(7), 'the root page'
        self.next_slot, self.height = number(plain[8:16]), plain[16]
        self.s_top, self.b_top, self.index, self.signing = (plain[24 + 32 * i:56 + 32 * i] for i in range(4))

    def add(self, kind, ctx, data, key, owner=None):
        self.boxes.append(Box(kind, ctx, data, key, owner))
        return self.boxes[-1]

    def page(self, tree, level, index, key):
        data = row_of(self.rows, 'nodes', bytes([tree, level]) + index.to_bytes(8, 'big'))
        plain = self.add(PAGE, context(PAGE, self.vault, tree, level, index), data, key,
                         (tree, level, index)).open()
        assert len(plain) == 32 * FANOUT, 'the length of a page'
        return [plain[32 * i:32 * i + 32] for i in range(FANOUT)]

    def height_walk(self, tree, level, index, key):
        """Tree S: pages down to the keyrings of the slots."""
        if key == bytes(32):
            return
        if level > 0:
            for i, k in enumerate(self.page(tree, level, index, key)):
                self.height_walk(tree, level - 1, index * FANOUT + i, k)
            return
        data = row_of(self.rows, 'keyrings', index.to_bytes(8, 'big'))
        plain = self.add(KEYRING, context(KEYRING, self.vault, tree, 0, index), data, key).open()
        person = Person(plain, index)
        person.subject_key = key
        self.boxes[-1].owner = person.id
        self.people[person.id] = person

    def b_walk(self, level, index, key):
        """Tree B: pages and, at any level, buckets of look-up entries."""
        if key == bytes(32):
            return
        bucket = self.rows['buckets'].get(bytes([level]) + index.to_bytes(8, 'big'))
        if bucket is None:
            for i, k in enumerate(self.page(TREE_B, level, index, key)):
                self.b_walk(level - 1, index * FANOUT + i, k)
            return
        plain = self.add(BUCKET, context(BUCKET, self.vault, TREE_B, level, index), bucket, key,
                         (TREE_B, level, index)).open()
        assert len(plain) == next(2 + 34 * n for n in (2, 6, 14, 30) if plain[0] <= n), 'the length of a bucket'
        assert not plain[1] and not plain[2 + 34 * plain[0]:].strip(b'\0'), 'the end of a bucket'
        for i in range(plain[0]):
            e = plain[2 + 34 * i:2 + 34 * (i + 1)]
            self.entries.append({'tag': e[:16], 'kind': e[16], 'category': e[17], 'subject': e[18:34],
                                 'place': (level, index)})

    def open_records(self):
        by_slot = {p.slot: p for p in self.people.values()}
        for key, data in self.rows['records'].items():
            need_slot(by_slot, key, 'records')
            person, category = by_slot[number(key[:8])], key[8]
            person.records[category] = self.open_row(person, RECORD, category, number(key[9:13]), data)
        for key, data in self.rows['transactions'].items():
            if key[:8] in self.rows['litter']:
                continue
            need_slot(by_slot, key, 'transactions')
            person = by_slot[number(key[:8])]
            if key[8] == 1:
                person.transactions[number(key[9:])] = self.open_row(person, TRANSACTION, 3,
                                                                     number(key[9:]), data)

    def open_row(self, person, kind, category, record, data):
        ctx = context(kind, self.vault, subject=person.id, category=category, record=record,
                      version=person.versions[category])
        return self.add(kind, ctx, data, person.keys[category], person.id).open()

    def live_keys(self):
        """Every key that can be reached: key -> what it is."""
        keys = {self.kek: 'KEK', self.root: 'root', self.index: 'index', self.signing: 'signing'}
        names = {PAGE: 'page', BUCKET: 'bucket', KEYRING: 'subject'}
        keys.update({b.key: names[b.kind] for b in self.boxes if b.kind in names})
        for p in self.people.values():
            keys.update({k: CATEGORIES[c - 1] for c, k in p.keys.items()})
        return keys


def copy(source, target):
    """The vault's files at this moment, into a new folder; the server must not be writing."""
    os.mkdir(target)
    os.mkdir(os.path.join(target, 'store'))
    for name in ('store/data.mdb', 'anchor', 'key'):
        with open(os.path.join(source, name), 'rb') as f, open(os.path.join(target, name), 'wb') as to:
            to.write(f.read())


def read(folder):
    return Vault(*(os.path.join(folder, n) for n in ('store', 'anchor', 'key')))
