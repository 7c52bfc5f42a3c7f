#!/usr/bin/python3
"""The signing key is rotated: who trusts any key of the vault that was ever noted verifies its ledger from there on, a
copy that was begun before goes on, and what was made before (receipts, backups) is worth what it was. Judged by the
programs and by other code, which knows docs/FORMAT.md alone (the walk).
"""
import os
import shutil
import sys

import lmdb
from nacl.signing import SigningKey

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'forensic'))

import backup_reader	# noqa: E402
import bed	# noqa: E402
import invariants	# noqa: E402
import reader	# noqa: E402
import statements	# noqa: E402
from bed import need, same, soon, step	# noqa: E402

HEAD, ITEM, ENTRY = 64, 163, 99
FAILED = 1


def begin(bin):
    b = bed.Bed(bin)
    key = b.cli_alone('recovery', 'new', '--out', b.path('recovery'), '--json').json['recovery_key']
    b.conf['backup'] = {'recovery_key': key}
    b.conf['ledger'] = {'copies': 'ledger.copy', 'late_after': '2s'}
    b.init()
    b.start()
    return b


def restore(b, *data):
    """The machine's disks are gone, and a vault is made of the backups and the ledger."""
    b.kill()
    shutil.rmtree(b.path('store'))
    os.unlink(b.path('anchor'))
    os.unlink(b.path('key'))
    args = [a for name in data for a in ('--data', b.path(name))]
    same(b.daemon('restore', *args, '--keys', b.path('keys'), '--recovery', b.path('recovery'),
                  '--ledger', b.path('ledger')), 0, f'exit status of restore: {b.said}{b.log_text(b.lives)}')


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def put(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def person(b, n):
    return b.create({'name': {'full': f'Marker {n}'}, 'emails': [f'marker{n}@signers.example']})


def erase(b, subject):
    return b.cli('subject', 'erase', subject, '--yes', '--json').json['erasure']


def key_now(b):
    return b.status()['signing_key']


def rotate(b):
    before = key_now(b)
    same(b.cli('key', 'rotate', 'signing', '--json').json['state'], 'done', 'the job')
    now = key_now(b)
    need(now != before, 'the signing key is the same')
    return now


def walks(path, *keys):
    """From each of these keys; the one at the end."""
    vault, head, entries = reader.items(content(path))
    found = {reader.walk(vault, k, entries) for k in (head, *(bytes.fromhex(k) for k in keys))}
    same(len(found), 1, 'keys at the end of the walks')
    return found.pop().hex()


def verified(b, path, last, *keys):
    for more in ((), *(('--signing-key', k) for k in keys)):
        same(b.cli('ledger', 'verify', path, *more, '--json').json['signing_key'], last, 'the key at the end')
    same(walks(path, *keys), last, 'the key at the end, by other code')


def whole(b):
    """The copy that the server keeps has all that an export has."""
    entries = b.status()['ledger_entries']
    soon(lambda: os.path.getsize(b.path('ledger.copy')) == HEAD + entries * ITEM, 'the copy is whole')
    return entries


def refused(b, path, data, *args):
    put(path, bytes(data))
    same(b.cli('ledger', 'verify', path, *args, '--json', expect=FAILED).error['reason'], 'LEDGER_BROKEN', 'verify')


def sealed_by(key, vault, n, before, kind, named):
    """An entry, and its signature by whoever has that key."""
    entry = n.to_bytes(8, 'big') + (1 << 40).to_bytes(8, 'big') + (9).to_bytes(8, 'big') + bytes(8) + named + \
        bytes([0, 0, kind]) + before
    return entry + key.sign(reader.LEDGER + vault + reader.hashed(entry)).signature


def forged(b, path, k1):
    """What a thief of no key can do: every entry of a rotation changed, left out, or put to the end under his own."""
    good, copy = content(path), path + '.forged'
    vault, _, entries = reader.items(good)
    turns = [n for n, (entry, _) in enumerate(entries) if entry[66] == reader.SIGNER]
    same(len(turns), 2, 'new keys in the ledger')
    thief = SigningKey(bytes(range(32)))
    mine = bytes(thief.verify_key)
    for n in turns:
        at = HEAD + n * ITEM
        # Behind an entry is what has proven it: its own signature counts behind the last new key alone.
        last = [at + ITEM + ENTRY] if n == turns[-1] else []
        for where in (at + 40, at + 66, at + ENTRY, at + ITEM + 40, *last):
            data = bytearray(good)
            data[where] ^= 1
            refused(b, copy, data, '--signing-key', k1)
        refused(b, copy, good[:at] + good[at + 2 * ITEM:])
        refused(b, copy, good[:at + ITEM] + good[at + 2 * ITEM:])
    newest = reader.hashed(entries[-1][0])
    now = sealed_by(thief, vault, len(entries) + 1, newest, reader.SIGNER, mine)
    last = bytes.fromhex(key_now(b))
    for named in (last, mine):
        behind = sealed_by(thief, vault, len(entries) + 2, reader.hashed(now[:ENTRY]), reader.SIGNER_BEFORE, named)
        refused(b, copy, good + now + behind)
    refused(b, copy, good + sealed_by(thief, vault, len(entries) + 1, newest, reader.SIGNER_BEFORE, last))
    # A head with his key, in front of what the vault has signed, says nothing to who has noted one.
    put(copy, good[:32] + mine + good[HEAD:])
    b.cli('ledger', 'verify', copy, '--json', expect=FAILED)
    refused(b, copy, good, '--signing-key', mine.hex())
    # All that the vault has, under his key: proven from there on, and no copy of the vault's that an export takes.
    data = bytearray(good[:32] + mine + good[HEAD:])
    for n, (entry, _) in enumerate(entries):
        if n not in turns:
            at = HEAD + n * ITEM + ENTRY
            data[at:at + 64] = thief.sign(reader.LEDGER + vault + reader.hashed(entry)).signature
    put(copy, data)
    same(b.cli('ledger', 'verify', copy, '--json').json['signing_key'], mine.hex(), 'the key at the end')
    same(b.cli('ledger', 'export', copy, '--json', expect=FAILED).error['reason'], 'LEDGER_BROKEN', 'export')


def receipt(b, erasure, path, k1):
    """An erasure's entry as it is given out stands in a ledger that is proven from the first key on."""
    got = b.cli('erasure', 'get', erasure, '--json').json['ledger']
    entry, (vault, _, entries) = bytes.fromhex(got['entry']), reader.items(content(path))
    need(entry in [e for e, _ in entries], 'the entry of the receipt is in the ledger')
    reader.walk(vault, bytes.fromhex(k1), entries)
    b.cli('ledger', 'verify', path, '--signing-key', k1, '--head', reader.hashed(entry).hex())
    return entry, bytes.fromhex(got['signature']), vault


def on_disk(b):
    vault = reader.read(b.dir)
    invariants.check(vault)
    return vault


def controls(b):
    """What the other code must notice in the vault's own files."""
    newest = max(reader.rows(b.path('store'), 'signers'))
    for what, key, row in (('gone', newest, None), ('another', newest, bytes(64)), ('short', newest, bytes(63)),
                           ('of no entry', bytes(8), bytes(64))):
        target = b.path(f'with-one-{what}')
        reader.copy(b.dir, target)
        with lmdb.open(os.path.join(target, 'store'), max_dbs=16) as env, env.begin(write=True) as txn:
            db = env.open_db(b'signers', txn=txn, create=False)
            if row is None:
                txn.delete(key, db=db)
            else:
                txn.put(key, row, db=db)
        try:
            invariants.check(reader.read(target))
        except invariants.Broken as e:
            bed.say(f'a signature that is {what}: {e}')
            continue
        raise bed.Failed(f'a signature that is {what} is not noticed')


def rotations(b):
    """Two of them, erasures between; all that was noted on the way."""
    people = [person(b, n) for n in range(8)]
    first = erase(b, people[0])
    k1 = key_now(b)
    before = b.cli('erasure', 'get', first, '--json').json['ledger']
    b.cli('ledger', 'export', b.path('ledger'))
    b.cli('backup', 'data', b.path('d0'))
    whole(b)
    k2 = rotate(b)
    erase(b, people[1])
    b.cli('ledger', 'export', b.path('ledger'))
    verified(b, b.path('ledger'), k2, k1, k2)
    k3 = rotate(b)
    erase(b, people[2])
    b.cli('ledger', 'export', b.path('ledger'))
    b.cli('ledger', 'export', b.path('fresh'))
    entries = whole(b)
    same(entries, 3 + 2 * 2, 'entries')
    same(b.cli('ledger', 'head', '--json').json['signing_key'], k3, 'the key of the head')
    for name in ('ledger', 'ledger.copy', 'fresh'):
        verified(b, b.path(name), k3, k1, k2, k3)
    same([content(b.path(n))[32:HEAD].hex() for n in ('ledger', 'ledger.copy', 'fresh')], [k1, k1, k3],
         'the key at the head of a file')
    kinds = [e['kind'] for e in b.cli('ledger', 'list', b.path('fresh'), '--json').json['entries']]
    same(kinds, ['ERASURE', *['SIGNING_KEY', 'SIGNING_KEY_BEFORE', 'ERASURE'] * 2], 'kinds')
    entry, signature, vault = receipt(b, first, b.path('fresh'), k1)
    same(entry.hex(), before['entry'], 'the entry of a receipt of before')
    need(reader.has_signed(bytes.fromhex(k3), vault, entry, signature), 'it is signed with the key of now')
    need(reader.has_signed(bytes.fromhex(k1), vault, entry, bytes.fromhex(before['signature'])), 'and was with that of then')
    return people, first, (k1, k2, k3)


def restarted(b, keys):
    same(b.stop(), 0, 'exit status')
    vault = on_disk(b)
    same(vault.signer, 3, 'the number of the signing key')
    same({n: k.hex() for n, k in statements.signers(vault).items()}, dict(enumerate(keys, 1)), 'the signing keys')
    same(statements.check(vault, bytes.fromhex(keys[0])), 2, 'statements')
    controls(b)
    b.start()
    same(key_now(b), keys[2], 'the key after a restart')
    b.cli('ledger', 'export', b.path('after'))
    verified(b, b.path('after'), keys[2], *keys)


def restored(b, people, first, keys):
    """A backup of keys of after, with one of data of before the rotations, and with that and one since it."""
    b.cli('backup', 'data', b.path('d1'), '--since', b.path('d0'))
    b.cli('backup', 'verify', b.path('d1'), '--since', b.path('d0'))
    b.cli('backup', 'keys', b.path('keys'))
    signed = [backup_reader.one(backup_reader.Backup(b.path(n)).head, 11).hex() for n in ('d0', 'd1', 'keys')]
    same(signed, [keys[0], keys[2], keys[2]], 'who has signed a manifest')
    backup_reader.tables(b.path('d0'), b.path('d1'))
    b.cli('ledger', 'export', b.path('ledger'))
    restore(b, 'd0')
    b.start()
    same(key_now(b), keys[2], 'the key after a restore of data of before')
    b.cli('subject', 'get', people[3])
    restore(b, 'd0', 'd1')
    same(on_disk(b).signer, 3, 'the number of the signing key')
    b.start()
    same(key_now(b), keys[2], 'the key after a restore')
    for n, subject in enumerate(people):
        b.cli('subject', 'get', subject, expect=4 if n < 3 else 0)
    erase(b, people[3])
    b.cli('ledger', 'export', b.path('ledger'))
    verified(b, b.path('ledger'), keys[2], *keys)
    receipt(b, first, b.path('ledger'), keys[0])


def lost(bin):
    """The backup of keys is older than the rotation: the vault gets another key, which who noted one must be told."""
    with begin(bin) as b:
        people = [person(b, n) for n in range(4)]
        k1 = key_now(b)
        b.cli('backup', 'data', b.path('d0'))
        b.cli('backup', 'keys', b.path('keys'))
        k2 = rotate(b)
        erase(b, people[0])
        b.cli('backup', 'data', b.path('d1'), '--since', b.path('d0'))	# signed with a key that will be lost
        b.cli('ledger', 'export', b.path('ledger'))
        whole(b)
        restore(b, 'd0', 'd1')
        need('the backup of keys is older than the signing key' in b.log_text(b.lives), 'the log tells of it')
        on_disk(b)
        b.start()
        k3 = key_now(b)
        need(k3 not in (k1, k2), 'it is another key')
        b.cli('subject', 'get', people[0], expect=4)
        b.cli('subject', 'get', people[1])
        b.cli('ledger', 'export', b.path('fresh'))
        verified(b, b.path('fresh'), k3, k3)
        for key in (k1, k2):
            b.cli('ledger', 'verify', b.path('fresh'), '--signing-key', key, expect=FAILED)
        b.cli('ledger', 'export', b.path('ledger'), expect=FAILED)
        # The copy that the server kept stays what it is, and a new one begins in its place.
        kept = content(b.path('ledger.copy'))
        soon(lambda: 'begins with a signing key that does not lead to the one in use' in b.log_text(b.lives),
             'the log tells of the copy')
        soon(lambda: b.get('/readyz')[0] == 503, 'it is late')
        same(content(b.path('ledger.copy')), kept, 'the copy of before')
        os.rename(b.path('ledger.copy'), b.path('ledger.kept'))
        soon(lambda: os.path.exists(b.path('ledger.copy')), 'a new one')
        whole(b)
        soon(lambda: b.get('/readyz')[0] == 200, 'it is ready')
        verified(b, b.path('ledger.copy'), k3, k3)
        same(b.cli('ledger', 'verify', b.path('ledger.kept'), '--json').json['signing_key'], k2, 'the key of before')
        rotate(b)
        b.stop()
        on_disk(b)


def run(bin):
    with begin(bin) as b:
        step('two rotations, erasures between')
        people, first, keys = rotations(b)
        step('forged')
        forged(b, b.path('fresh'), keys[0])
        step('a restart')
        restarted(b, keys)
        step('a restore')
        restored(b, people, first, keys)
        b.stop()
        b.quiet('signers.example')
    step('a restore without the newest key')
    lost(bin)


bed.main(run)
