#!/usr/bin/python3 -B
"""What must be so in every vault that is at rest, of what docs/FORMAT.md says and reading alone does not show: rows
that belong together, both ways; look-ups that are exactly those of the living; nothing that was used twice.
"""
import collections
import hashlib
import os
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))

import reader	# noqa: E402
import statements	# noqa: E402
import wire	# noqa: E402
from reader import LIVE, SHREDDED, SIGNER, SIGNER_BEFORE, UNUSED, number	# noqa: E402

IDENTITY, BILLING = 1, 3
EMAIL, PHONE, ACCOUNT = 1, 2, 3
IN_IDENTITY = {2: EMAIL, 3: PHONE, 7: ACCOUNT}		# fields of proto/pdvault/v1/subject.proto
BLANKS = ' \t\n\r'
METHODS = ('Backups/NoteBackupCheck', 'Backups/FinishBackup', 'Backups/CreateKeyBackup', 'Backups/DestroyKeyBackup',
           'Vault/CreateSubject', 'Vault/UpdateIdentity', 'Vault/UpdateBilling', 'Vault/AppendTransactions',
           'Rights/EraseSubject', 'Keys/StartRotation', 'Keys/ControlJob', 'Keys/AddSeal', 'Keys/RemoveSeal')


class Broken(Exception):
    """An invariant does not hold. The text names tables and counts, never a value or an id."""


def must(condition, what):
    if not condition:
        raise Broken(what)


def same(got, expected, what):
    must(got == expected, f'{what}: {got!r} instead of {expected!r}')


# --- look-ups ---


def normalised(kind, text, country):
    """docs/PROTOCOL.md, Look-ups; but for ignorable characters, which no test has."""
    text = unicodedata.normalize('NFKC', text.strip(BLANKS))
    if kind != ACCOUNT:
        text = unicodedata.normalize('NFKC', text.casefold())
    text = text.strip(BLANKS)
    if kind != PHONE:
        return text
    digits = ''.join(c for c in text if c.isdigit())
    if text.startswith('+'):
        return digits
    if digits.startswith('00') and len(digits) > 2:
        return digits[2:]
    return str(country) + digits.removeprefix('0') if country else digits


def holders(vault, country):
    """(kind, normalised value) -> who has it, of all identities that live."""
    found = collections.defaultdict(set)
    for person in vault.people.values():
        if person.states[IDENTITY] != LIVE:
            continue
        for n, value in wire.fields(person.records[IDENTITY][16:]):
            if n in IN_IDENTITY:
                kind = IN_IDENTITY[n]
                found[kind, normalised(kind, value.decode(), country)].add(person.id)
    return found


def entries_of(vault, entries, kind, value):
    """Those of a value, under the index key and, while it is rotated, under the one before: n = 0, 1, 2 ... under each."""
    for parity in (0, 1):
        if vault.index_key(parity) == bytes(32):
            continue
        for n in range(len(entries) + 1):
            e = entries.get(reader.lookup_tag(vault.index_key(parity), kind, value, n))
            if e is None:
                break
            same((e['kind'], e['parity'], e['category']), (kind, parity, IDENTITY), 'kind, parity, category of an entry')
            yield e


def look_ups(vault, country):
    """Tree B holds exactly the look-ups of those who live: none is missing, none is left."""
    entries = {e['tag']: e for e in vault.entries}
    same(len(entries), len(vault.entries), 'tags that are there once')
    wanted = 0
    for (kind, value), people in holders(vault, country).items():
        must(kind == PHONE or len(people) == 1, f'a look-up of kind {kind} with {len(people)} subjects')
        there = [e['subject'] for e in entries_of(vault, entries, kind, value)]
        same(len(there), len(people), f'entries of a look-up of kind {kind}')
        must(set(there) == people, f'a look-up of kind {kind} that leads to somebody else')
        wanted += len(people)
    same(len(entries), wanted, 'look-up entries')
    for e in vault.entries:
        must(reader.covers(*e['place'], e['tag']), 'an entry in the bucket of another tag')
    return wanted


# --- rows that belong together ---


def subjects(vault):
    rows, erasures = vault.rows['subjects'], vault.rows['erasures']
    living = {}
    for ident, value in rows.items():
        same(ident[:2], vault.rows['meta'][b'vault'][16:18], 'the vault number in an id')
        if value[0] == 1:
            living[ident] = number(value[1:9])
            same(value[9:], bytes(8), 'the end of a row of subjects')
            continue
        same(value[0], 2, 'the first byte of a row of subjects')
        erasure = erasures.get(value[1:])
        # What else somebody had may have been lost before a restore.
        last = erasure is not None and (erasure[34] == 1 or number(vault.rows['meta'][b'incarnation']) > 1)
        must(last and erasure[:16] == ident,
             'a tombstone without the erasure that it names')
    must(living == {p.id: p.slot for p in vault.people.values()}, 'rows of subjects and keyrings differ')
    must(all(slot < vault.next_slot for slot in living.values()), 'a slot above the next')
    for value in erasures.values():
        # Of somebody erased in part who came after the keys that a restore had nothing is left.
        must(value[:16] in rows or number(vault.rows['meta'][b'incarnation']) > 1, 'an erasure of nobody')
        must(number(value[16:24]) <= vault.epoch, 'an erasure of an epoch to come')


def categories(vault):
    """A shredded category has an erasure that names it; a living identity its record."""
    shredded = collections.defaultdict(int)
    for value in vault.rows['erasures'].values():
        shredded[value[:16]] |= number(value[32:34])
    for person in vault.people.values():
        for c, state in person.states.items():
            must(state in (UNUSED, LIVE, SHREDDED), 'the state of a category')
            if state == LIVE:
                must(person.keys[c] != bytes(32) and person.versions[c] >= 1, 'a live category without key or version')
                must(person.made[c] > 0, 'a live category whose key has no time')
            if state == SHREDDED:
                must(shredded[person.id] >> c - 1 & 1, 'a shredded category that no erasure names')
        must(LIVE in person.states.values(), 'a keyring of nobody')
        must(set(person.records) <= set(person.keys), 'a record of a category that is not live')
        must(person.states[IDENTITY] != LIVE or IDENTITY in person.records, 'a living identity without its record')
        # An identity that a restore did not find.
        must(all(number(r[:8]) >= 1 or (c == 1 and r == bytes(16)) for c, r in person.records.items()), 'an etag of 0')


def signing_key(vault, key, entry):
    """An entry that names one. Each new one is signed by the one that the entry behind it names."""
    must(entry[24:32] == bytes(8) and entry[64:66] == bytes(2), 'what a signing key has not')
    if entry[66] == SIGNER_BEFORE:
        must(beside(vault, key, -1)[66:67] == bytes([SIGNER]), 'a key before behind no new one')
        return
    signature, behind = vault.rows['signers'].get(key), beside(vault, key, 1)
    must(signature is not None, 'a signing key in the ledger that none has signed')
    same(len(signature), reader.SIGNATURE, 'the length of a signature of a signing key')
    must(behind[66:67] == bytes([SIGNER_BEFORE]), 'a new signing key without the one before')
    must(reader.has_signed(behind[32:64], vault.vault, entry, signature),
         'a signing key that the one before has not signed')


def beside(vault, key, step):
    """The entry of the ledger so many further on; empty: there is none."""
    return vault.rows['ledger'].get((number(key) + step).to_bytes(8, 'big'), b'')


def ledger(vault):
    """One entry for each erasure, each with the hash of the one before, and the head is the newest."""
    head = hashlib.blake2b(vault.rows['meta'][b'vault'][:16], digest_size=32).digest()
    entries, count = vault.rows['ledger'], 0
    living = {p.id: p.slot for p in vault.people.values()}
    named, slots = set(), {}
    for key in sorted(entries):
        entry, count = entries[key], count + 1
        same((number(key), number(entry[:8]), len(entry)), (count, count, 99), 'the sequence of an entry of the ledger')
        same(entry[67:], head, 'the hash of the entry before')
        head = hashlib.blake2b(entry, digest_size=32).digest()
        must(entry[66] <= SIGNER_BEFORE, 'the kind of an entry of the ledger')
        if entry[66] >= SIGNER:
            signing_key(vault, key, entry)
            continue
        if entry[66] > 1:		# of a key backup
            same((entry[32:48], entry[64:66]), (bytes(16), bytes(2)), 'what a key backup has not')
            must(entry[48:64] in vault.rows['backups'], 'a key backup in the ledger alone')
            continue
        subject, row = entry[32:48], vault.rows['erasures'].get(entry[48:64])
        must(row is not None, 'an entry of the ledger without its erasure')
        same(row[:43], subject + entry[8:24] + entry[64:67] + entry[:8], 'an erasure and its entry in the ledger')
        must(row[43:] in (b'A', b'B', b'C', b'D', b'\0'), 'the class of an erasure')
        must(number(entry[24:32]) < vault.next_slot, 'a slot above the next')
        must(entry[66] in (0, 1) and not (entry[66] and subject in living), 'an erasure of somebody who lives')
        must(living.get(subject, number(entry[24:32])) == number(entry[24:32]), 'the slot of an erasure')
        must(slots.setdefault(subject, entry[24:32]) == entry[24:32], 'the slot of a subject')
        named.add(entry[48:64])
    must(named == set(vault.rows['erasures']), 'an erasure that is not in the ledger')
    same(sum(e[66] == SIGNER for e in entries.values()), len(vault.rows['signers']), 'signatures of signing keys')
    same(vault.rows['meta'][b'ledger'], count.to_bytes(8, 'big') + head, 'the head of the ledger')


def transactions(vault):
    """Each has the row that tells its id, and the other way round."""
    index = collections.defaultdict(dict)
    for key, value in vault.rows['transactions'].items():
        if key[8] == 2 and key[:8] not in vault.rows['litter']:
            index[number(key[:8])][key[9:]] = number(value)
    sequence, count = number(vault.rows['meta'][b'sequence']), 0
    for person in vault.people.values():
        mine = {}
        for n, plain in person.transactions.items():
            must(n < sequence, 'a transaction above the next number')
            ident = next(value for f, value in wire.fields(plain[16:]) if f == 1)
            mine[reader.tag(person.keys[BILLING], 'transaction', b'', ident)] = n
        must(index.pop(person.slot, {}) == mine, 'transactions and the rows of their ids differ')
        count += len(mine)
    must(not index, 'rows of ids of transactions that are nobody\'s')
    return count


def outcomes(vault):
    known = {hashlib.blake2b(f'/pdvault.v1.{m}'.encode(), digest_size=32).digest()[:2] for m in METHODS}
    for key, value in vault.rows['idempotency'].items():
        must(17 <= len(key) <= 79 and 22 <= len(value) <= 22 + 256, 'the length of an outcome')
        must(value[4:6] in known, 'an outcome of a method that changes nothing')
        must(number(value[6:12]) <= vault.epoch, 'an outcome of an epoch to come')


def once(vault):
    """No nonce and no key serves two boxes of different places; one slot holds the root."""
    nonces = [b.data[1:25] for b in vault.boxes] + [b[1:25] for b in vault.slot.boxes()]
    must(len(nonces) == len(set(nonces)), 'two boxes have one nonce')
    keys = [b.key for b in vault.boxes if b.kind in (reader.ROOT_PAGE, reader.PAGE, reader.BUCKET, reader.KEYRING)]
    keys += [k for p in vault.people.values() for k in (*p.keys.values(), *p.before.values())]
    keys += [vault.index, vault.signing] + [s.key for s in vault.seals]
    keys += [vault.index_before] if vault.index_before != bytes(32) else []
    must(len(keys) == len(set(keys)), 'two boxes have one key')
    must(bytes(32) not in keys, 'a key of zeros')
    same([s.epoch for s in vault.slots if s.valid], [vault.epoch], 'K5: valid slots of the anchor')


def check(vault):
    """All of it; what was counted."""
    subjects(vault)
    categories(vault)
    ledger(vault)
    tombstones = len(vault.rows['subjects']) - len(vault.people)
    counted = {'subjects': len(vault.people), 'erased': tombstones, 'erasures': len(vault.rows['erasures']),
               'transactions': transactions(vault),
               'look-ups': look_ups(vault, number(vault.rows['meta'][b'vault'][26:28])), 'boxes': len(vault.boxes)}
    outcomes(vault)
    once(vault)
    try:
        counted['statements'] = statements.check(vault)
    except statements.Untrue as e:
        raise Broken(str(e)) from e
    return counted


def main():
    """FOLDER-OF-STORE ANCHOR KEY-FILE of a vault whose server is stopped: lists who is in it, and says what was checked."""
    if len(sys.argv) != 4:
        print(f'usage: {sys.argv[0]} STORE ANCHOR KEY-FILE', file=sys.stderr)
        return 2
    try:
        vault = reader.Vault(*sys.argv[1:])
        counted = check(vault)
    except (reader.Closed, Broken, AssertionError) as e:
        print(f'NOT SOUND: {e}')
        return 1
    for person in sorted(vault.people.values(), key=lambda p: p.slot):
        states = ', '.join(f'{reader.CATEGORIES[c - 1].lower()} {("", "live", "shredded")[s]}'
                           for c, s in person.states.items() if s != UNUSED)
        print(f'{person.id.hex()} slot {person.slot}: {states}; {len(person.records)} records, '
              f'{len(person.transactions)} transactions')
    print(f'sound, at epoch {vault.epoch}: {", ".join(f"{n} {what}" for what, n in counted.items())}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
