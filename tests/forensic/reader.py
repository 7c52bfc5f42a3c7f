"""An independent reader of the vault's files, written from docs/FORMAT.md: with the anchor and any one seal (a key
file, or the secret of the recovery key) it opens everything that can be opened, from the root down. It shares no code
with the server.
"""
import hashlib
import os

import lmdb
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.public import PrivateKey, SealedBox
from nacl.pwhash import argon2id
from nacl.signing import VerifyKey

KEY, NONCE, TAG = 32, 24, 16
SLOT, BLOCK, STRIPES = 69632, 4096, 65536
WRAPS, WRAP, SEALS_AT, SEALS_LEN, SEALS_BOX, SEAL = 96, 256, 2144, 848, 937, 104
ROOT_WRAP, ROOT_PAGE, PAGE, BUCKET, KEYRING, RECORD, TRANSACTION = range(1, 8)
SEALS = 9
KEK, RECOVERY = 1, 2	# kinds of seals
CONTENT, USAGE = 4, 5	# categories whose version before may be kept
TREE_S, TREE_B, B_TOP, FANOUT = 1, 2, 12, 32
CATEGORIES = ('IDENTITY', 'CREDENTIAL', 'BILLING', 'CONTENT', 'USAGE', 'DEVICE', 'PREFERENCES', 'CONSENT')
UNUSED, LIVE, SHREDDED = range(3)
LEDGER, ENTRY, SIGNATURE = b'pdvault ledger 1', 99, 64
SIGNER, SIGNER_BEFORE = 5, 6	# kinds of entries of the ledger: a new signing key, and the one before it
META = {b'format', b'vault', b'epoch', b'root', b'start', b'sequence', b'ledger', b'incarnation',
        b'backups', b'resurrected'}
TABLES = ('meta', 'nodes', 'buckets', 'keyrings', 'subjects', 'records', 'transactions', 'idempotency', 'erasures', 'ledger',
          'litter', 'backups', 'jobs', 'signers')


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


def derived(secret):
    """Id and KEK out of a secret that is as good as a key: the hash of a passphrase, or a credential."""
    kek = hashlib.blake2b(b'pdvault seal'.ljust(16, b'\0') + secret, digest_size=32).digest()
    return tag(kek, 'seal id', b'', b''), kek


def read_passphrase_file(path, passphrase):
    """Id and KEK of a seal with a passphrase (bytes)."""
    with open(path, 'rb') as f:
        data = f.read()
    assert len(data) == 32 and data[:8] == b'pdvpass1', 'the file of a passphrase'
    return derived(argon2id.kdf(32, passphrase, data[8:24], opslimit=number(data[24:28]),
                                memlimit=number(data[28:]) << 10))


def hashed(entry):
    """The hash of an entry of the ledger."""
    return hashlib.blake2b(entry, digest_size=32).digest()


def has_signed(public, vault, entry, signature):
    """Whether that key has signed an entry of the ledger."""
    try:
        VerifyKey(public).verify(LEDGER + vault + hashed(entry), signature)
    except BadSignatureError:
        return False
    return True


def items(data):
    """A copy of the ledger: the vault, the key at its head, and [(entry, signature)]."""
    one = ENTRY + SIGNATURE
    assert data[:16] == LEDGER and len(data) >= 64 and (len(data) - 64) % one == 0, 'no copy of a ledger, or one cut off'
    return data[16:32], data[32:64], [(data[at:at + ENTRY], data[at + ENTRY:at + one]) for at in range(64, len(data), one)]


def walk(vault, key, entries):
    """From a key that is trusted through a ledger; the key that is trusted at its end."""
    head = hashlib.blake2b(vault, digest_size=32).digest()
    proven, owed, before = 0, False, None
    for n, (entry, signature) in enumerate(entries, 1):
        kind = entry[66]
        assert number(entry[:8]) == n and entry[67:] == head, 'an entry that does not follow on the one before'
        head = hashed(entry)
        if kind == SIGNER_BEFORE:
            assert before and has_signed(entry[32:64], vault, *before), 'a key before that has not signed the one behind it'
        before = (entry, signature) if kind == SIGNER else None
        good = has_signed(key, vault, entry, signature)
        proven = n if good else proven
        if kind == SIGNER:
            owed = False
            key = entry[32:64] if good else key
        elif not good:
            owed = True
    assert proven == len(entries) and not owed, 'a ledger that the vault has not signed'
    return key


class Wrap:
    """The root key for one seal, in a slot."""

    def __init__(self, data):
        self.ident, self.name, self.box, self.kind = data[:16], data[16:48], data[48:169], data[169]
        self.sealed, self.rest = data[170:250], data[250:]


class Seal:
    """What the box of the seals says of one."""

    def __init__(self, data):
        self.ident, self.name, self.kind, self.rest = data[:16], data[16:48], data[48], data[49:56]
        self.key, self.since, self.made = data[56:88], number(data[88:96]), number(data[96:])


class Slot:
    """One of the two slots of the anchor, whatever is in it."""

    def __init__(self, data):
        self.head, self.stripes = data[:BLOCK], data[BLOCK:]
        self.digest = hashlib.blake2b(self.stripes, digest_size=32).digest()
        self.count = number(self.head[10:12])
        self.epoch = number(self.head[32:40])
        self.vault = self.head[16:32]
        self.commitment = self.head[40:72]
        check = hashlib.blake2b(self.head[:4064] + self.digest, digest_size=32).digest()
        self.valid = (self.head[:10] == b'pdvslot\0\0\2' and 1 <= self.count <= 8 and check == self.head[4064:])
        self.wraps = [Wrap(self.head[WRAPS + WRAP * i:WRAPS + WRAP * (i + 1)]) for i in range(8)]

    def boxes(self):
        """Every box in it: of the wraps, and that of the seals."""
        return [w.box for w in self.wraps[:self.count]] + [self.head[SEALS_AT:SEALS_AT + SEALS_BOX]]

    def wrap_key(self, kek):
        return hashlib.blake2b(b'pdvault wrap' + self.digest, key=kek, digest_size=32).digest()

    def unwrap(self, wrap, kek):
        return open_box(self.wrap_key(kek), context(ROOT_WRAP, self.vault, index=self.epoch), wrap.box)

    def root(self, ident, kek):
        for wrap in self.wraps[:self.count]:
            if wrap.ident == ident:
                return self.unwrap(wrap, kek)
        raise Closed('no wrap of this provider')

    def recover(self, secret):
        """The root key with the secret half of a recovery key."""
        for wrap in self.wraps[:self.count]:
            if wrap.kind == RECOVERY:
                try:
                    return self.unwrap(wrap, SealedBox(PrivateKey(secret)).decrypt(wrap.sealed))
                except CryptoError:
                    continue
        raise Closed('nothing is sealed for this recovery key')

    def seals(self, root):
        """All seals, with the root key; checked against the wraps, which they go with one by one."""
        plain = open_box(self.wrap_key(root), context(SEALS, self.vault, index=self.epoch),
                         self.head[SEALS_AT:SEALS_AT + SEALS_BOX])
        assert len(plain) == SEALS_LEN and plain[0] == self.count, 'the seals and the wraps are not as many'
        assert plain[1:2] in (b'\0', b'A', b'B', b'C', b'D') and not plain[2:8].strip(b'\0'), 'the head of the seals'
        self.dead_class, self.lasting = plain[1], number(plain[8:16])
        found = [Seal(plain[16 + SEAL * i:16 + SEAL * (i + 1)]) for i in range(self.count)]
        assert not plain[16 + SEAL * self.count:].strip(b'\0'), 'the end of the seals'
        assert len({s.ident for s in found}) == len({s.name for s in found}) == self.count, 'a seal that is there twice'
        for wrap, seal in zip(self.wraps, found):
            self.check(wrap, seal, root)
        assert not (self.head[12:16] + self.head[72:96]).strip(b'\0'), 'the zeros of the head'
        assert not self.head[WRAPS + WRAP * self.count:SEALS_AT].strip(b'\0'), 'the wraps that are not there'
        assert not self.head[SEALS_AT + SEALS_BOX:4064].strip(b'\0'), 'the end of the head'
        return found

    def check(self, wrap, seal, root):
        assert (wrap.ident, wrap.name, wrap.kind) == (seal.ident, seal.name, seal.kind), 'a wrap and its seal'
        assert seal.name[0] and seal.name.rstrip(b'\0').count(b'\0') == 0 == seal.name[31], 'the name of a seal'
        assert seal.kind in (KEK, RECOVERY) and not (seal.rest + wrap.rest).strip(b'\0'), 'the kind of a seal'
        assert 1 <= seal.since <= self.epoch and self.lasting <= self.epoch, 'the epochs of the seals'
        assert seal.key != bytes(32), 'a seal without a key'
        if seal.kind == KEK:
            assert self.unwrap(wrap, seal.key) == root, 'another root key'
            assert not wrap.sealed.strip(b'\0'), 'a KEK that is sealed for somebody'
        else:
            assert wrap.sealed.strip(b'\0'), 'a recovery key that nothing is sealed for'


def read_anchor(path):
    with open(path, 'rb') as f:
        data = f.read()
    assert len(data) == 2 * SLOT
    return [Slot(data[:SLOT]), Slot(data[SLOT:])]


def rows(store, table):
    """One table of a store as it lies there."""
    with lmdb.open(store, max_dbs=len(TABLES), readonly=True, lock=False) as env:
        with env.begin() as txn:
            return dict(txn.cursor(env.open_db(table.encode(), txn=txn, create=False)))


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


def categories(plain):
    """The ten places of a keyring: (key, version, state, restricted, made)."""
    for at in range(56, 456, 40):
        c = plain[at:at + 40]
        key, state = c[:32], c[34]
        assert (state == LIVE) == (key != bytes(32)), 'a key of a category that is not live, or one without'
        assert state != UNUSED or c == bytes(40), 'a category that was never used has something'
        yield key, number(c[32:34]), state, c[35], number(c[36:])


class Person:
    def __init__(self, plain, slot):
        assert len(plain) in (176, 456), 'the length of a keyring'
        self.epoch = number(plain[48:56])
        self.id, self.pseudonym, self.slot = plain[:16], plain[24:40], number(plain[16:24])
        assert self.slot == slot, 'a keyring in the place of another'
        self.keys, self.states, self.versions, self.made, self.before = {}, {}, {}, {}, {}
        for n, (key, version, state, _, made) in enumerate(categories(plain.ljust(456, b'\0'))):
            if n < 8:
                self.states[n + 1], self.versions[n + 1], self.made[n + 1] = state, version, made
                if state == LIVE:
                    self.keys[n + 1] = key
            elif state != UNUSED:
                c = CONTENT + n - 8
                assert state == LIVE and c in self.keys, 'a version before of a category that is not live'
                assert version < self.versions[c], 'a version before that is not older'
                self.before[c] = key
        whole = any(self.states[c] != UNUSED for c in range(4, 9)) or self.before
        assert len(plain) == (456 if whole else 176), 'the length of a keyring and what is in it'
        self.records, self.transactions = {}, {}


class Vault:
    """Opens it all. store: the folder; nothing in it is changed. seal: the path of the key file, or (id, KEK)."""

    def __init__(self, store, anchor, seal):
        self.ident, self.kek = seal if isinstance(seal, tuple) else read_key_file(seal)
        self.slots = read_anchor(anchor)
        with lmdb.open(store, max_dbs=len(TABLES), readonly=True, lock=False) as env:
            with env.begin() as txn:
                self.rows = {t: dict(txn.cursor(env.open_db(t.encode(), txn=txn, create=False)))
                             for t in TABLES}
        assert self.rows['meta'][b'format'] == bytes([0, 0, 0, 4])
        self.vault = self.rows['meta'][b'vault'][:16]
        self.epoch = number(self.rows['meta'][b'epoch'][:8])
        self.boxes = []
        self.people, self.entries = {}, []
        self.open_root()
        self.height_walk(TREE_S, self.height, 0, self.s_top, self.epoch)
        self.b_walk(B_TOP, 0, self.b_top, self.epoch)
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
        self.slot = slot
        self.root = slot.root(self.ident, self.kek)
        self.seals = slot.seals(self.root)
        self.root_page(self.add(ROOT_PAGE, context(ROOT_PAGE, self.vault, index=self.epoch), box, self.root).open())

    def root_page(self, plain):
        assert len(plain) == 208 and number(plain[:8]) == self.epoch and plain[18:24] == bytes(6), 'the root page'
        self.next_slot, self.height, self.parity = number(plain[8:16]), plain[16], plain[17]
        self.s_top, self.b_top, self.index, self.signing, self.index_before = (plain[24 + 32 * i:56 + 32 * i]
                                                                               for i in range(5))
        self.index_made, self.signing_made, self.signer = (number(plain[184 + 8 * i:192 + 8 * i]) for i in range(3))
        assert self.parity in (0, 1) and self.signer >= 1, 'the generations in the root page'

    def index_key(self, parity):
        """Of entries with that parity; zero: there are none."""
        return self.index if parity == self.parity else self.index_before

    def add(self, kind, ctx, data, key, owner=None):
        self.boxes.append(Box(kind, ctx, data, key, owner))
        return self.boxes[-1]

    def page(self, tree, level, index, key, above):
        """The keys in a page, and the epoch that it was sealed for."""
        data = row_of(self.rows, 'nodes', bytes([tree, level]) + index.to_bytes(8, 'big'))
        plain = self.add(PAGE, context(PAGE, self.vault, tree, level, index), data, key,
                         (tree, level, index)).open()
        assert len(plain) == 32 * FANOUT + 8, 'the length of a page'
        return [plain[32 * i:32 * i + 32] for i in range(FANOUT)], self.age(plain[32 * FANOUT:], above)

    def age(self, data, above):
        """The epoch of the box that was opened last; above: that of the page above, sealed with it or later."""
        epoch = self.boxes[-1].epoch = number(data)
        assert 1 <= epoch <= above, 'a page that is younger than the one above'
        return epoch

    def height_walk(self, tree, level, index, key, above):
        """Tree S: pages down to the keyrings of the slots."""
        if key == bytes(32):
            return
        if level > 0:
            keys, epoch = self.page(tree, level, index, key, above)
            for i, k in enumerate(keys):
                self.height_walk(tree, level - 1, index * FANOUT + i, k, epoch)
            return
        data = row_of(self.rows, 'keyrings', index.to_bytes(8, 'big'))
        plain = self.add(KEYRING, context(KEYRING, self.vault, tree, 0, index), data, key).open()
        person = Person(plain, index)
        self.age(plain[48:56], above)
        person.subject_key = key
        self.boxes[-1].owner = person.id
        self.people[person.id] = person

    def b_walk(self, level, index, key, above):
        """Tree B: pages and, at any level, buckets of look-up entries."""
        if key == bytes(32):
            return
        bucket = self.rows['buckets'].get(bytes([level]) + index.to_bytes(8, 'big'))
        if bucket is None:
            keys, epoch = self.page(TREE_B, level, index, key, above)
            for i, k in enumerate(keys):
                self.b_walk(level - 1, index * FANOUT + i, k, epoch)
            return
        plain = self.add(BUCKET, context(BUCKET, self.vault, TREE_B, level, index), bucket, key,
                         (TREE_B, level, index)).open()
        assert len(plain) == next(10 + 34 * n for n in (2, 6, 14, 30) if plain[0] <= n), 'the length of a bucket'
        assert not plain[1] and not plain[10 + 34 * plain[0]:].strip(b'\0'), 'the end of a bucket'
        self.age(plain[2:10], above)
        for i in range(plain[0]):
            e = plain[10 + 34 * i:10 + 34 * (i + 1)]
            self.entries.append({'tag': e[:16], 'kind': e[16] & 0x7f, 'parity': e[16] >> 7, 'category': e[17],
                                 'subject': e[18:34], 'place': (level, index)})
            assert self.index_key(e[16] >> 7) != bytes(32), 'an entry under an index key that is gone'

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
        keys = {self.root: 'root', self.index: 'index', self.signing: 'signing'}
        keys.update({s.key: 'KEK' for s in self.seals if s.kind == KEK})
        if self.index_before != bytes(32):
            keys[self.index_before] = 'index before'
        names = {PAGE: 'page', BUCKET: 'bucket', KEYRING: 'subject'}
        keys.update({b.key: names[b.kind] for b in self.boxes if b.kind in names})
        for p in self.people.values():
            keys.update({k: CATEGORIES[c - 1] for c, k in p.keys.items()})
            keys.update({k: f'{CATEGORIES[c - 1]} before' for c, k in p.before.items()})
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
