"""An independent reader of backups, written from docs/FORMAT.md. It shares no code with the server or the tool."""
import hashlib
import os
import re
import sys

from nacl.exceptions import BadSignatureError, CryptoError
from nacl.public import PrivateKey, SealedBox
from nacl.signing import VerifyKey

import reader
from reader import number

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))

import wire	# noqa: E402

DATA, KEYS = 1, 2


def blake(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def message(data):
    """The fields of a message, each a list."""
    out = {}
    for n, value in wire.fields(data):
        out.setdefault(n, []).append(value)
    return out


def one(fields, n, otherwise=b''):
    return fields.get(n, [otherwise])[0]


def rows(data):
    """[(key, value)]; value is None for a row that is gone."""
    found, at = [], 0
    while at < len(data):
        key, length = data[at], data[at + 1:at + 5]
        at += 5
        name, at = data[at:at + key], at + key
        if length == b'\xff' * 4:
            found.append((name, None))
            continue
        found.append((name, data[at:at + number(length)]))
        at += number(length)
    assert at == len(data) and [k for k, _ in found] == sorted(k for k, _ in found), 'rows in order'
    return found


class Backup:
    """One folder: its head, and the rows of its chunks."""

    def __init__(self, folder):
        self.folder = folder
        signed = message(self.read('manifest'))
        packed, signature = one(signed, 1), one(signed, 2)
        manifest = message(packed)
        self.head = message(one(manifest, 1))
        self.kind, self.id, self.vault = one(self.head, 2), one(self.head, 3), one(self.head, 4)
        try:
            VerifyKey(one(self.head, 11)).verify(b'pdvault backup 1' + self.vault + blake(packed), signature)
        except BadSignatureError as e:
            raise reader.Closed('the manifest is not signed') from e
        self.since = one(manifest, 2)
        self.ranges = [message(r) for r in manifest.get(3, [])]

    def read(self, name):
        with open(os.path.join(self.folder, name), 'rb') as f:
            return f.read()

    def chunk(self, r):
        """The rows that a range has here."""
        n = one(r, 6, 0)
        if n == 0:
            return []
        data = self.read(f'{n:06}.chunk')
        assert data[:16] == b'pdvault chunk 1\n' and data[16:32] == self.id, 'the head of a chunk'
        assert blake(data[:-32]) == data[-32:] == one(r, 7), 'the digest of a chunk'
        length = number(data[-36:-32])
        assert one(message(data[-36 - length:-36]), 1) == one(r, 1), 'the range of a chunk'
        return rows(data[32:-36 - length])


def tables(*folders):
    """The rows of a chain, each range compared with its digest: {table: {key: value}}; and the newest backup."""
    found, before = {}, b''
    for folder in folders:
        b = Backup(folder)
        assert b.since == before, 'a backup since another'
        before = b.id
        for r in b.ranges:
            table = found.setdefault(one(r, 1).decode(), {})
            for key, value in b.chunk(r):
                if value is None:
                    del table[key]
                else:
                    table[key] = value
        for r in b.ranges:
            mine = sorted((k, v) for k, v in found[one(r, 1).decode()].items()
                          if k >= one(r, 2) and (not one(r, 3) or k < one(r, 3)))
            packed = b''.join(bytes([len(k)]) + len(v).to_bytes(4, 'big') + k + v for k, v in mine)
            assert (len(mine), blake(packed)) == (one(r, 4, 0), one(r, 5)), 'the digest of a range'
    return found, b


def secret(path):
    with open(path, encoding='ascii') as f:
        return bytes.fromhex(re.search('^secret ([0-9a-f]{64})$', f.read(), re.M)[1])


class Keys(reader.Vault):
    """What a backup of keys gives to who has the recovery secret: its people, and their keys."""

    def __init__(self, folder, recovery):
        self.rows, b = tables(folder)
        self.vault, self.epoch = b.vault, one(b.head, 7)
        self.boxes, self.people = [], {}
        try:
            plain = SealedBox(PrivateKey(secret(recovery))).decrypt(b.read('root.sealed'))
        except (CryptoError, FileNotFoundError) as e:
            raise reader.Closed('the sealed root key does not open') from e
        assert plain[32:] == self.vault + b.id + self.epoch.to_bytes(8, 'big') + plain[72:], 'what is sealed'
        self.root = plain[:32]
        self.root_page(self.add(reader.ROOT_PAGE, reader.context(reader.ROOT_PAGE, self.vault, index=self.epoch),
                                one(b.head, 15), self.root).open())
        self.height_walk(reader.TREE_S, self.height, 0, self.s_top, self.epoch)

    def identity(self, subject, *data):
        """The plaintext of somebody's identity in a backup of data. Closed: no key here opens it."""
        found, _ = tables(*data)
        person = self.people.get(subject)
        if person is None or 1 not in person.keys:
            raise reader.Closed('nobody of that id has an identity here')
        row = found['records'].get(person.slot.to_bytes(8, 'big') + bytes([1, 0, 0, 0, 0]))
        if row is None:
            raise reader.Closed('no such record')
        return self.open_row(person, reader.RECORD, 1, 0, row)
