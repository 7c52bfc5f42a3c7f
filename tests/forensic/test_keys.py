#!/usr/bin/python3 -B
"""F1: after a shred, of a person or of one category, every 32-byte window, at all alignments, of the anchor, the memory image and the data
files: no dead key, nor what opens a box under one, and no living key opens anything of the person. F4: nor does a
key that was there before the person. F11: the same person created again has keys, an id and a pseudonym that have
nothing to do with the first. F12: no key is made twice. F29: the anchor stays the file that it was. F35: no tag of
a look-up stands in the open.

Each clean result has its control: before the shred the same reader opens the person with the same files, the
same search finds the person's keys in memory, and it always finds the live root key.
"""
import json
import os
import shutil

import invariants
import lab
import reader
import wire
from bed import held, main, need, same, say, step
from lab import key_id

MARK = 'Marker Of Knights'
PEOPLE = 70		# more than two leaves of the tree, and a split bucket
ROOT_PURPOSE, DATA_PURPOSE = 1, 10


def identity(i):
    return {'name': {'full': f'{MARK} {i}'}, 'emails': [f'knight{i}@knights.example'],
            'phones': [f'+49 30 5550{i:04}'], 'account_ids': [f'knight-{i}']}


def create(b, i):
    """A person with all that there is: identity, billing, a transaction."""
    subject = b.create(identity(i), {'legal_name': f'{MARK} {i}', 'tax_id': f'TAX{i}'})
    text = json.dumps({'transactions': [{'id': f't{i}', 'time': '2024-02-03T04:05:06Z', 'currency': 'EUR',
                                         'amount_minor': i, 'description': f'{MARK} {i}'}]})
    b.cli('transaction', 'append', subject, '--input', '-', text=text)
    return subject


def crowd(b):
    """So many people that the pages above them have a third level."""
    with wire.Peer(b) as p:
        for first in range(0, 1000, 100):
            for i in range(first, first + 100):
                who = wire.field(1, wire.field(1, f'{MARK} x{i}')) + wire.field(7, f'crowd-{i}')
                p.send(wire.request('Vault.CreateSubject', wire.field(1, who), os.urandom(16)))
            for _ in range(100):
                same(p.receive()[1].code, 'OK', 'one of the crowd')


def raw(subject):
    import base64
    return base64.b32decode(subject[4:].upper() + '======')


class Moment:
    """The vault's files as they are now, and what can be opened in them."""

    def __init__(self, b, name):
        self.folder = b.path(name)
        reader.copy(b.dir, self.folder)
        self.vault = reader.read(self.folder)
        self.blocks = open(b.path('anchor'), 'rb', buffering=0)	# whatever becomes of the file's name
        self.tags_are_hidden()
        unknown = self.vault.rows['meta'].keys() - reader.META
        need(not unknown, f'F13: {len(unknown)} rows of meta that docs/FORMAT.md does not know')
        self.live = self.vault.live_keys()
        self.counted = invariants.check(self.vault)

    def tags_are_hidden(self):
        """F35: outside its sealed bucket a tag would be there to compare a guess with, for ever."""
        need(self.vault.entries, 'no look-up to begin with')
        with open(os.path.join(self.folder, 'store/data.mdb'), 'rb') as f:
            data = f.read()
        need(not any(e['tag'] in data for e in self.vault.entries), 'F35: a tag stands in the open')

    def boxes_of(self, subject):
        """What the person's data and keys lie in: keyring, records, and the pages above."""
        person = self.vault.people[subject]
        above = {(reader.TREE_S, level, person.slot >> 5 * level) for level in range(1, 13)}
        for e in self.vault.entries:
            if e['subject'] == subject:
                level, index = e['place']
                above |= {(reader.TREE_B, level + n, index >> 5 * n) for n in range(13)}
        return [x for x in self.vault.boxes if x.owner == subject or x.owner in above or
                x.kind == reader.ROOT_PAGE]


def opens_before(before, subject, i):
    """The control of the reader: everything of the person opens."""
    person = before.vault.people[subject]
    text = f'{MARK} {i}'.encode()
    need(all(text in person.records[c] for c in (1, 3)), 'the records of before do not open')
    need(any(text in t for t in person.transactions.values()), 'the transaction of before does not open')
    need(sum(e['subject'] == subject for e in before.vault.entries) == 3, 'the look-ups of before')


def closed_after(before, after, subject):
    """No living key opens a box of before that was the person's or on the way to them."""
    need(subject not in after.vault.people, 'the keyring is still there')
    need(all(e['subject'] != subject for e in after.vault.entries), 'a look-up is still there')
    slot = before.vault.people[subject].slot.to_bytes(8, 'big')
    for table in ('keyrings', 'records', 'transactions'):
        need(not any(k.startswith(slot) for k in after.vault.rows[table]), f'a row of {table}')
    boxes = before.boxes_of(subject)
    nothing_opens(boxes, after)
    return boxes


def nothing_opens(boxes, after):
    tried = 0
    for box in boxes:
        box.open()		# the control: by its own key it does
        for key in after.live:
            tried += 1
            try:
                box.open(key)
            except reader.Closed:
                continue
            raise lab.bed.Failed(f'K2: a living key ({after.live[key]}) opens a box of kind {box.kind}')
    say(f'{len(boxes)} boxes of before, {len(after.live)} living keys: none of {tried} opens')


def anchor_closed(before, after):
    """The old anchor's root is in no slot of the new one, and the new anchor does not open the old store."""
    for slot in after.vault.slots:
        if slot.valid:
            need(slot.root(after.vault.ident, after.vault.kek) == after.vault.root, 'K5: the old root is in the anchor')
    same(sum(s.valid for s in after.vault.slots), 1, 'valid slots')
    with open(os.path.join(after.folder, 'anchor'), 'rb') as f:
        need(before.blocks.read() == f.read(), 'F29: the blocks of before are let go, not overwritten')
    held(29, 'the file that was open before the shred is the anchor of after')
    old = after.folder + '.old'
    shutil.copytree(before.folder, old)
    shutil.copy(os.path.join(after.folder, 'anchor'), os.path.join(old, 'anchor'))
    try:
        reader.read(old)
    except reader.Closed:
        return
    raise lab.bed.Failed('the anchor of after opens the store of before')


def older_keys(older, before, subject):
    """F4: whoever had every key and the memory before the person came, and saw the disk later, opens nothing."""
    boxes = before.boxes_of(subject)
    for box in boxes:
        for key in older.live:
            try:
                box.open(key)
            except reader.Closed:
                continue
            raise lab.bed.Failed(f'F4: a key that is older than the person ({older.live[key]}) opens a box of '
                                 f'kind {box.kind}')
    held(4, f'{len(older.live)} keys of before the person open none of {len(boxes)} boxes of the store before')


def distinct(b):
    """F12"""
    ids = [k for k, _ in b.registered()]
    need(len(ids) == len(set(ids)), 'F12: a key was made twice')
    return ids


def derived(moment, boxes):
    """Secrets made of keys: what encrypts each box, and what opens the anchor's wraps."""
    found = {key_id(box.inner_key()): 'inner key' for box in boxes}
    for slot in moment.vault.slots:
        if slot.valid:
            found[key_id(slot.digest)] = 'digest of the stripes'
            found[key_id(slot.wrap_key(moment.vault.root))] = 'key of the seals'
            found.update({key_id(slot.wrap_key(s.key)): 'wrap key' for s in moment.vault.seals
                          if s.kind == reader.KEK})
    return found


def search(b, name, living, dead):
    """The image must hold the live root and nothing that is dead."""
    parts = b.image(name)
    names = [name, *b.files()]
    found, windows = b.scan([*living, *dead], *names)
    say(f'{windows} windows of {len(names)} files and images hashed for {len(dead)} dead keys')
    for where, offset, ident in found:
        if ident in dead:
            place = lab.part_of(parts, offset) if where == name else offset
            say(f'DEAD: {dead[ident]} in {where} at {place}')
    return found


def erase(b, lab_registry_before, older, victim, i):
    """One shred with all its checks; what was before it."""
    subject = raw(victim)
    distinct(b)
    b.cli('subject', 'get', victim)		# so that its page is in the cache
    before = Moment(b, f'before{i}')
    opens_before(before, subject, i)
    person = before.vault.people[subject]
    mine = {key_id(k): c for c, k in person.keys.items()}
    mine[key_id(person.subject_key)] = 'subject'
    made = dict(b.registered())
    need(all(k in made for k in mine), 'keys of the person that are not registered')
    need(any(k in mine for k, _ in b.registered()[lab_registry_before:]), 'the person is older than the test')
    root = key_id(before.vault.root)
    same(made[root], ROOT_PURPOSE, 'the registered purpose of the root')
    # The control of the search.
    b.image('image')
    found, _ = b.scan([root, *mine], 'image')
    seen = {ident for _, _, ident in found}
    need(root in seen, 'the live root key is not in the image: nothing that follows would count')
    need(key_id(person.subject_key) in seen, 'the key of a person who was just read is not in the image')
    say(f'before: the person opens; root and {len(seen & set(mine))} of {len(mine)} keys are in memory')

    answer = b.cli('subject', 'erase', victim, '--yes', '--json').json
    same(answer['state'], 'SHREDDED', 'the erasure')
    after = Moment(b, f'after{i}')
    same(after.vault.epoch, before.vault.epoch + 1, 'the epoch')
    boxes = closed_after(before, after, subject)
    anchor_closed(before, after)
    living = {key_id(k): what for k, what in after.live.items()}
    dead = {k: f'purpose {purpose}' for k, purpose in b.registered() if k not in living}
    need(all(k in dead for k in mine) and root in dead, 'keys that outlive the shred')
    dead.update(derived(before, [x for x in boxes if key_id(x.key) in dead]))
    found = search(b, 'image', living, dead)
    need(not any(ident in dead for _, _, ident in found), 'K6, F1: a dead key is still there')
    need(key_id(after.vault.root) in {ident for where, _, ident in found if where == 'image'},
         'the live root key is not in the image: the search counts for nothing')
    need(not any(where != 'image' for where, _, _ in found), 'a living key stands in a file in the open')
    held(1, f'{len(dead)} dead keys, in no file and not in memory')
    held(35, 'no tag of a look-up stands in the open')
    held(3, f'{len(boxes)} boxes of the erased, and no path to one; every invariant holds')
    older_keys(older, before, subject)
    return before, after


def data_keys(b, subject):
    """Made and opened: the service has them, the vault keeps none, and no key of before the shred opens one after it."""
    with open(b.path('text'), 'w', encoding='ascii') as f:
        f.write(f'{MARK} elsewhere')
    b.cli('blob', 'seal', b.path('text'), b.path('blob'), '--subject', subject, '--category', 'content')
    b.cli('blob', 'open', b.path('blob'), b.path('text'))
    os.remove(b.path('text'))
    given = {k: f'purpose {purpose}' for k, purpose in b.registered() if purpose == DATA_PURPOSE}
    need(given, 'no data key is registered')
    need(not search(b, 'image', {}, given), 'a data key is still there')
    held(1, f'{len(given)} data keys that were given out, in no file and not in memory')


def erase_category(b, victim, i, gone, stays):
    """One category is shredded: its key is nowhere, what it sealed stays closed; the other one is as it was."""
    subject = raw(victim)
    b.cli('subject', 'get', victim)
    before = Moment(b, f'before-{gone}{i}')
    opens_before(before, subject, i)
    was = before.vault.people[subject]
    b.image('image')
    found, _ = b.scan([key_id(before.vault.root), key_id(was.subject_key)], 'image')
    need(len({ident for _, _, ident in found}) == 2, 'the live keys are not in the image: nothing would count')

    b.cli('subject', 'erase', victim, '--category', reader.CATEGORIES[gone - 1].lower(), '--yes')
    after = Moment(b, f'after-{gone}{i}')
    person = after.vault.people[subject]
    same(list(person.keys), [stays], 'categories that have a key')
    same(person.states[gone], reader.SHREDDED, 'the state of the shredded category')
    same(person.keys[stays], was.keys[stays], 'the key of the category that stays')
    need(stays in person.records and gone not in person.records, 'the records after')
    sealed = [x for x in before.vault.boxes if x.owner == subject and
              x.kind in (reader.RECORD, reader.TRANSACTION) and x.context[44] == gone]
    need(sealed, 'nothing was sealed under the category')
    keyring = [x for x in before.vault.boxes if x.owner == subject and x.kind == reader.KEYRING]
    nothing_opens(sealed + keyring, after)
    living = {key_id(k): what for k, what in after.live.items()}
    dead = {k: f'purpose {purpose}' for k, purpose in b.registered() if k not in living}
    need(key_id(was.keys[gone]) in dead and key_id(was.subject_key) in dead, 'keys that outlive the shred')
    dead.update(derived(before, [x for x in sealed + keyring if key_id(x.key) in dead]))
    found = search(b, 'image', living, dead)
    need(not any(ident in dead for _, _, ident in found), 'F1: a dead key is still there')
    held(1, f'{len(dead)} dead keys after the shred of a category')
    b.cli('billing', 'get', victim, expect=4 if gone == 3 else 0)
    b.cli('subject', 'get', victim, expect=0)


def unrelated(b, first, before, i):
    """F11"""
    second = create(b, i)
    again = Moment(b, f'again{i}')
    a, c = before.vault.people[raw(first)], again.vault.people[raw(second)]
    need(a.id != c.id and a.pseudonym != c.pseudonym and a.slot != c.slot, 'id, pseudonym or slot')
    need(not set(a.keys.values()) & set(c.keys.values()) and a.subject_key != c.subject_key, 'a key')
    need(a.keys.keys() == c.keys.keys(), 'other categories')
    for box in before.boxes_of(a.id):
        for key in (*c.keys.values(), c.subject_key):
            try:
                box.open(key)
            except reader.Closed:
                continue
            raise lab.bed.Failed('a key of the second opens the first')
    ids = distinct(b)
    b.cli('subject', 'get', first, expect=4)
    held(11, 'id, pseudonym, slot and keys have nothing in common')
    held(12, f'{len(ids)} keys, no two the same')


def run(bin):
    lab.check_build(bin)
    with lab.Lab(bin) as b:
        b.init()
        b.start()
        step(f'{PEOPLE} people')
        people = [create(b, i) for i in range(PEOPLE)]
        mark = len(b.registered())
        older = Moment(b, 'older')
        for i in (PEOPLE, PEOPLE + 1):
            people.append(create(b, i))
        for i in (3, PEOPLE):		# look-ups move, records are written again
            b.cli('subject', 'update', people[i], '--input', '-', text=json.dumps(
                {'identity': {'emails': [f'other{i}@knights.example'], 'locale': 'de'}}))
        step('F1: shred')
        before, _ = erase(b, mark, older, people[PEOPLE], PEOPLE)
        step('F1: shred another, after a restart')
        same(b.stop(), 0, 'exit status')
        b.start()
        b.create(identity(500))
        data_keys(b, people[PEOPLE + 1])
        erase(b, mark, older, people[PEOPLE + 1], PEOPLE + 1)
        b.cli('blob', 'open', b.path('blob'), b.path('text'), expect=4)
        step('F1: one category of two people')
        for i, gone, stays in ((7, 3, 1), (8, 1, 3)):
            erase_category(b, people[i], i, gone, stays)
        step('F1: a tree of three levels')
        crowd(b)
        tall = create(b, 900)
        b.create(identity(901))
        erase(b, mark, older, tall, 900)
        step('F11: the same person again')
        unrelated(b, people[PEOPLE], before, PEOPLE)
        same(b.stop(), 0, 'exit status')
        b.quiet(MARK, 'knight')


main(run)
