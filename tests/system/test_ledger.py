#!/usr/bin/python3
"""The ledger of erasures: `ledger head|export|verify` against a real vault, the file as docs/FORMAT.md says it, and
what is wrong with a file.
"""
import base64
import fcntl
import hashlib
import os
import shutil

from nacl.signing import VerifyKey

import bed
import wire
from bed import same, step

HEAD, ITEM, ENTRY = 64, 163, 99
FAILED, USAGE, NOT_FOUND, CONFLICT = 1, 2, 3, 7
MANY = 230		# more than a page


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def put(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def chained(data):
    """The file, from docs/FORMAT.md alone: (entries, head)."""
    same(data[:16], b'pdvault ledger 1', 'magic')
    key, head = VerifyKey(data[32:HEAD]), hashlib.blake2b(data[16:32], digest_size=32).digest()
    same((len(data) - HEAD) % ITEM, 0, 'length')
    items = [data[at:at + ITEM] for at in range(HEAD, len(data), ITEM)]
    for n, item in enumerate(items, 1):
        entry = item[:ENTRY]
        same((int.from_bytes(entry[:8], 'big'), entry[67:]), (n, head), 'an entry follows on the one before')
        head = hashlib.blake2b(entry, digest_size=32).digest()
        key.verify(b'pdvault ledger 1' + data[16:32] + head, item[ENTRY:])
    return items, head.hex()


def export(b, path, added):
    got = b.cli('ledger', 'export', path, '--json').json
    same(got['added'], added, 'entries that were added')
    return got


def growing(b, path):
    before = b.cli('ledger', 'head', '--json').json
    same(before['entries'], 0, 'entries of a new vault')
    same(export(b, path, 0)['head'], before['head'], 'head')
    one = b.create({'name': {'full': 'Zelda'}, 'emails': ['zelda@pawns.example']})
    b.cli('subject', 'erase', one, '--yes')
    export(b, path, 1)
    export(b, path, 0)
    with wire.Peer(b) as p:
        for n in range(MANY):
            made = p.call('Vault.CreateSubject', wire.field(1, wire.field(2, f'rook{n}@rooks.example')), mutates=True)
            subject = next(value for field, value in wire.fields(made.message) if field == 1)
            same(p.call('Rights.EraseSubject', wire.field(1, subject), mutates=True).code, 'OK', 'erasure')
    got = export(b, path, MANY)
    items, head = chained(content(path))
    same((len(items), head), (MANY + 1, got['head']), 'the file and what was said of it')
    same({k: v for k, v in got.items() if k != 'added'}, b.cli('ledger', 'head', '--json').json, 'export and head')
    same(b.cli('ledger', 'verify', path, '--json').json['entries'], MANY + 1, 'entries that were verified')
    same(bytes.fromhex(b.cli('status', '--json').json['signing_key']), content(path)[32:HEAD], 'the key')
    return got


def wrong(b, path, whole, change):
    """A changed copy is refused, by who verifies it and by who would add to it, and stays as it is."""
    data = change(bytearray(whole))
    put(path, data)
    for verb in ('verify', 'export'):
        error = b.cli('ledger', verb, path, '--json', expect=FAILED).error
        same((error['code'], error['reason']), ('DATA_LOSS', 'LEDGER_BROKEN'), verb)
    same(content(path), bytes(data), 'the file after that')


def flip(at):
    def change(data):
        data[at] ^= 1
        return data
    return change


def broken(b, path):
    whole, copy = content(path), path + '.copy'
    middle = HEAD + ITEM * 100
    for at in (0, 16, 32, HEAD, middle, middle + 66, middle + 67, middle + ENTRY, len(whole) - 1):
        wrong(b, copy, whole, flip(at))
    wrong(b, copy, whole, lambda d: d[:middle] + d[middle + ITEM:])
    wrong(b, copy, whole, lambda d: d[:middle] + d[middle + ITEM:middle + 2 * ITEM] + d[middle:middle + ITEM])
    wrong(b, copy, whole, lambda d: d + d[-ITEM:])
    # Cut off in the middle of the last entry, as by a crash: told by verify, mended by export.
    for cut in (1, ITEM - 1, ITEM, 50 * ITEM + 7):
        put(copy, whole[:-cut])
        b.cli('ledger', 'verify', copy, expect=0 if cut % ITEM == 0 else FAILED)
        export(b, copy, (cut + ITEM - 1) // ITEM)
        same(content(copy), whole, 'the file after export')
    put(copy, whole[:20])
    export(b, copy, MANY + 1)
    same(content(copy), whole, 'the file after export')


def not_ours(b, path):
    """A file that is somebody else's, of any length, and one that another process adds to."""
    for mine in (b'n', b'my notes of today', b'x' * 500):
        put(path + '.notes', mine)
        b.cli('ledger', 'export', path + '.notes', expect=FAILED)
        same(content(path + '.notes'), mine, 'the file after that')
    with open(path, 'rb') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        b.cli('ledger', 'export', path, expect=CONFLICT)
    export(b, path, 0)


def listed(b, path):
    found = b.cli('ledger', 'list', path, '--json').json['entries']
    same([e['sequence'] for e in found], list(range(1, MANY + 2)), 'sequences')
    first = content(path)[HEAD:HEAD + ENTRY]
    same(found[0]['subject'], 'sub_' + base64.b32encode(first[32:48]).decode().lower().rstrip('='), 'subject')
    same((found[0]['categories'], found[0]['last']), (['IDENTITY'], True), 'what the first one erased')
    put(path + '.copy', content(path)[:-1])
    same(b.cli('ledger', 'list', path + '.copy', '--json', expect=FAILED).error['reason'], 'LEDGER_BROKEN', 'list')


def put_back(b, path):
    """The vault is put back as a whole, and goes on: its ledger is another one, of the same length."""
    same(b.stop(), 0, 'exit status')
    for name in ('store', 'anchor'):
        (shutil.copytree if name == 'store' else shutil.copy)(b.path(name), b.path(f'{name}.before'))
    b.start()
    for turn in range(2):
        one = b.create({'name': {'full': 'Zelda'}, 'emails': [f'zelda{turn}@pawns.example']})
        b.cli('subject', 'erase', one, '--yes')
        if turn == 0:
            export(b, path, 1)
            same(b.stop(), 0, 'exit status')
            shutil.rmtree(b.path('store'))
            os.rename(b.path('store.before'), b.path('store'))
            os.replace(b.path('anchor.before'), b.path('anchor'))
            b.start()
            error = b.cli('ledger', 'export', path, '--json', expect=FAILED).error
            same(error['reason'], 'LEDGER_BROKEN', 'the vault has fewer')
    error = b.cli('ledger', 'export', path, '--json', expect=FAILED).error
    same(error['reason'], 'LEDGER_BROKEN', 'the vault has as many, and another one')


def shown(b, path, got):
    """A head that was noted, and the key."""
    for hexed in (got['head'], hashlib.blake2b(content(path)[HEAD:HEAD + ENTRY], digest_size=32).hexdigest()):
        b.cli('ledger', 'verify', path, '--head', hexed)
    older = path + '.older'
    put(older, content(path)[:-ITEM])
    error = b.cli('ledger', 'verify', older, '--head', got['head'], '--json', expect=FAILED).error
    same(error['reason'], 'LEDGER_OLD', 'a copy that is older than the head')
    b.cli('ledger', 'verify', path, '--signing-key', got['signing_key'])
    b.cli('ledger', 'verify', path, '--signing-key', '00' * 32, expect=FAILED)
    b.cli('ledger', 'verify', path, '--head', '0g', expect=USAGE)
    b.cli('ledger', 'verify', path + '.none', expect=NOT_FOUND)
    b.cli('ledger', 'verify', expect=USAGE)


def run(bin):
    with bed.Bed(bin) as b:
        b.init()
        b.start()
        path = b.path('ledger')
        step('head, export, and the file')
        got = growing(b, path)
        step('a file that is broken')
        broken(b, path)
        step('the head and the key that were noted')
        shown(b, path, got)
        step('what a copy says')
        listed(b, path)
        step('files that are not ours')
        not_ours(b, path)
        step('after a restart, and with the vault stopped')
        same(b.stop(), 0, 'exit status')
        b.start()
        export(b, path, 0)
        same(b.stop(), 0, 'exit status')
        b.cli('ledger', 'verify', path)
        b.start()
        step('a vault that was put back')
        put_back(b, path)
        b.quiet('Zelda', 'rooks.example')


bed.main(run)
