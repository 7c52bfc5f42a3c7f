#!/usr/bin/python3 -B
"""F24: one row of an older copy of the store, or of somebody else, put in the place of the present one: a page of either
tree, a keyring, a bucket, a record, all that leads to an erased person. The real server notices it where it is read;
whoever hangs on the row gets an error and nothing old, nobody else is harmed.

The controls: a row that is put back as it was harms nobody; an older record of the same subject under the same key
is read as if it were the newest (docs/THREATS.md says so), as is one that is made with the present keys.
"""
import os
import shutil

import lmdb
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead_seal

import lab
import reader
import wire
from lab import bed
from bed import held, main, need, same, say, step

PEOPLE = 70		# three pages of tree S below its top
LOOKUPS = 8		# emails, and account ids, of each: tree B has pages below its top
CHANGED = 60		# who are written again after the copy; and so is every page on their way
ERASED, HIT, OTHER = 9, 3, 5
REFUSED = 4
DAMAGED = 'DATA_LOSS'


def name(i, age):
    return f'Marker Of Pawns {i} {age}'


def account(i):
    return f'pawn-{i}'


def identity(i, age):
    return (wire.field(1, wire.field(1, name(i, age))) +
            b''.join(wire.field(2, f'{age}{i}.{n}@pawns.example') for n in range(LOOKUPS)) +
            wire.field(7, account(i)) + b''.join(wire.field(7, f'{account(i)}-{n}') for n in range(1, LOOKUPS)))


def fill(b):
    """Everybody, in the order of slots; their ids."""
    ids = []
    with wire.Peer(b) as p:
        for i in range(PEOPLE):
            message = wire.field(1, identity(i, 'old')) + wire.field(2, wire.field(1, name(i, 'billed')))
            answer = p.call('Vault.CreateSubject', message, mutates=True)
            same(answer.code, 'OK', 'a new subject')
            ids += answer.values(1)
    return ids


def change(b, ids):
    """Names and emails of most; one is erased, of another the billing."""
    with wire.Peer(b) as p:
        same(p.call('Rights.EraseSubject', wire.field(1, ids[ERASED]), mutates=True).code, 'OK', 'an erasure')
        for i in range(CHANGED):
            if i != ERASED:
                message = wire.field(1, ids[i]) + wire.field(2, identity(i, 'new'))
                same(p.call('Vault.UpdateIdentity', message, mutates=True).code, 'OK', 'an update')
        message = wire.field(1, ids[HIT]) + wire.field(2, 3)
        same(p.call('Rights.EraseSubject', message, mutates=True).code, 'OK', 'the erasure of a category')


def age(i):
    return 'new' if i < CHANGED else 'old'


class Store:
    """A stopped vault as it is, opened, and the older copy of its rows."""

    def __init__(self, b, ids, old):
        self.b, self.ids, self.old = b, ids, old
        self.vault = reader.read(b.dir)
        reader.copy(b.dir, b.path('good'))

    def put(self, rows):
        """{(table, key): value}"""
        with lmdb.open(self.b.path('store'), max_dbs=16, map_size=64 << 20) as env:
            with env.begin(write=True) as txn:
                for (table, key), value in rows.items():
                    txn.put(key, value, db=env.open_db(table.encode(), txn=txn, create=False))

    def restore(self):
        for path in ('store/data.mdb', 'anchor'):
            shutil.copyfile(self.b.path('good', path), self.b.path(path))
        os.unlink(self.b.path('store/lock.mdb'))

    def person(self, i):
        return self.vault.people[self.ids[i]]

    def below(self, tree, level, index):
        """Who hang on a node: by their slot, or by the look-up of their account."""
        if tree == reader.TREE_S:
            return {i for i in range(PEOPLE) if i != ERASED and self.person(i).slot >> 5 * level == index}
        tags = {i: reader.lookup_tag(self.vault.index, 3, account(i)) for i in range(PEOPLE) if i != ERASED}
        return {i for i, tag in tags.items() if reader.covers(level, index, tag)}

    def older(self, *places):
        """Rows of the older copy, all of which are others now."""
        rows = {(t, k): self.old[t][k] for t, k in places}
        for (table, key), value in rows.items():
            need(self.vault.rows[table].get(key) != value, f'a row of {table} is as it was')
        return rows


def look(store, i, p):
    """(the code of reading, the code of finding); what is served must be the present."""
    got = p.call('Vault.GetIdentity', wire.field(1, store.ids[i]))
    found = p.call('Vault.FindSubject', wire.field(3, account(i)))
    if got.code == 'OK':
        need(name(i, age(i)).encode() in got.message, f'F24: person {i} is not as they are')
    if found.code == 'OK':
        same(found.values(1), [store.ids[i]], f'F24: who is found for {i}')
    for answer in (got, found):
        need(answer.code != DAMAGED or answer.reason in ('INTEGRITY', 'CORRUPT'), answer.reason)
    return got.code, found.code


def spliced(store, what, rows, unread, unfound):
    """With these rows put in: who cannot be read, who cannot be found, are these; all others are as before."""
    b = store.b
    store.put(rows)
    b.start()
    with wire.Peer(b) as p:
        seen = {i: look(store, i, p) for i in range(PEOPLE)}
        health = p.call('Health.Check').code
    erased = seen.pop(ERASED)
    same({i for i, (got, _) in seen.items() if got == DAMAGED}, unread, f'F24: {what}: who cannot be read')
    same({i for i, (_, found) in seen.items() if found == DAMAGED}, unfound, f'F24: {what}: who cannot be found')
    same({c for codes in seen.values() for c in codes} - {'OK', DAMAGED}, set(), f'F24: {what}: other answers')
    need('OK' not in erased, f'F24: {what}: the erased is back: {erased}')
    same(health, 'OK', 'health')
    errors = b.metric('pdvault_integrity_errors_total')
    damaged = len(unread) + len(unfound) + (DAMAGED in erased)
    need(errors >= damaged and (b.count('integrity') > 0) == (errors > 0), f'{what}: {errors} are counted')
    b.kill()
    store.restore()
    say(f'{what}: {len(unread)} cannot be read, {len(unfound)} cannot be found, of the erased {erased[0]}')


def node(tree, level, index):
    return 'nodes', bytes([tree, level]) + index.to_bytes(8, 'big')


def slot_key(slot, *more):
    return slot.to_bytes(8, 'big') + b''.join(more)


def record_key(slot):
    return 'records', slot_key(slot, b'\1', bytes(4))


def a_bucket(store):
    """A bucket and the page above it, both below the top and written again since; and the bucket's place."""
    def changed(row):
        old, now = (rows[row[0]].get(row[1]) for rows in (store.old, store.vault.rows))
        return old is not None and now is not None and old != now
    for key in store.vault.rows['buckets']:
        level, index = key[0], reader.number(key[1:])
        page = node(reader.TREE_B, level + 1, index >> 5)
        if level < 11 and changed(('buckets', key)) and changed(page) and store.below(reader.TREE_B, level, index):
            return ('buckets', key), page, (level, index)
    raise bed.Failed('no bucket below a page of its own')


def trees(store):
    """Pages and buckets of before; everything that a page leads to is lost with it, and nothing else."""
    everybody, leaf = store.below(reader.TREE_S, 2, 0), store.below(reader.TREE_S, 1, 0)
    need(0 < len(leaf) < len(everybody), 'a page of some')
    for what, level, below in (('a page of tree S', 1, leaf), ('the top of tree S', 2, everybody)):
        # Who is found is looked at in the keyring: a row alone is not believed.
        spliced(store, what, store.older(node(reader.TREE_S, level, 0)), below, below)
    bucket, page, (level, index) = a_bucket(store)
    for what, row, place in (('a bucket', bucket, (level, index)),
                             ('a page of tree B', page, (level + 1, index >> 5)),
                             ('the top of tree B', node(reader.TREE_B, 12, 0), (12, 0))):
        spliced(store, what, store.older(row), set(), store.below(reader.TREE_B, *place))


def keyrings(store):
    hit, other = store.person(HIT).slot, store.person(OTHER).slot
    keyring, billing = ('keyrings', slot_key(hit)), ('records', slot_key(hit, b'\3', bytes(4)))
    spliced(store, 'a keyring', store.older(keyring), {HIT}, {HIT})
    spliced(store, 'a keyring, with the billing that was shredded', store.older(keyring, billing), {HIT}, {HIT})
    spliced(store, 'the keyring of another', {('keyrings', slot_key(hit)): store.vault.rows['keyrings'][slot_key(other)]},
            {HIT}, {HIT})
    subject = 'subjects', store.ids[ERASED]
    slot = int.from_bytes(store.old['subjects'][subject[1]][1:9], 'big')
    path = [subject, ('keyrings', slot_key(slot)), record_key(slot)]
    spliced(store, 'all rows of the erased', store.older(*path), set(), set())
    above = store.below(reader.TREE_S, 1, slot >> 5)
    spliced(store, 'these and the page above', store.older(*path, node(reader.TREE_S, 1, slot >> 5)), above, above)


def roots(store):
    """The root page is bound to the anchor: it does not start."""
    b, old = store.b, store.old['meta']
    for what, keys in (('the root page', [b'root']), ('the root page and its epoch', [b'root', b'epoch'])):
        store.put({('meta', k): old[k] for k in keys})
        b.refuses(REFUSED, 'recovery_refused')
        store.restore()
        say(f'{what}: refused')


def sealed(store, i, version, text):
    """A record of that person, as it is but for the name, sealed with their own key for a version of it."""
    person = store.person(i)
    plain = person.records[1].replace(name(i, age(i)).encode(), text)
    size = len(store.vault.rows['records'][record_key(person.slot)[1]]) - 73
    ctx = reader.context(reader.RECORD, store.vault.vault, subject=person.id, category=1, version=version)
    nonce = os.urandom(24)
    ek, com = reader.split(person.keys[1], nonce, ctx)
    padded = (plain + b'\x80').ljust(size, b'\0')
    return {record_key(person.slot): bytes([1]) + nonce + com + aead_seal(padded, b'', nonce, ek)}


def records(store):
    hit, other = (record_key(store.person(i).slot) for i in (HIT, OTHER))
    spliced(store, 'the record of another', {hit: store.vault.rows['records'][other[1]]}, {HIT}, set())
    same(store.person(HIT).versions[1], 1, 'the version of the key')
    as_it_is = name(HIT, age(HIT)).encode()
    spliced(store, 'a record for another version of the key', sealed(store, HIT, 2, as_it_is), {HIT}, set())
    spliced(store, 'control: a record made with the present key', sealed(store, HIT, 1, as_it_is), set(), set())


def accepted(store):
    """The controls."""
    rows = {node(reader.TREE_S, 1, 0): None, ('keyrings', slot_key(store.person(HIT).slot)): None}
    spliced(store, 'control: rows as they are', {(t, k): store.vault.rows[t][k] for t, k in rows}, set(), set())
    store.put(store.older(record_key(store.person(HIT).slot)))
    store.b.start()
    with wire.Peer(store.b) as p:
        got = p.call('Vault.GetIdentity', wire.field(1, store.ids[HIT]))
    need(name(HIT, 'old').encode() in got.message, 'control: an older record under the same key is read')
    store.b.kill()
    store.restore()
    say('control: an older record of the same subject under the same key is read')


def run(bin):
    lab.check_build(bin)
    with lab.Lab(bin) as b:
        b.init()
        b.start()
        ids = fill(b)
        same(b.stop(), 0, 'exit status')
        old = reader.read(b.dir).rows
        b.start()
        change(b, ids)
        same(b.stop(), 0, 'exit status')
        store = Store(b, ids, old)
        for what, test in (('the controls', accepted), ('pages and buckets', trees), ('keyrings', keyrings),
                           ('records', records), ('the root page', roots)):
            step(f'F24: {what}')
            test(store)
        held(24, 'pages of both trees, buckets, keyrings, records, and all of an erased person, of before or of another')
        b.quiet('Marker Of Pawns', 'pawn')


main(run)
