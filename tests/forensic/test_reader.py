#!/usr/bin/python3 -B
"""The controls of the independent reader: it opens the slot of tests/vectors with the KEK and with the recovery key,
and notices each field of a slot, its seals, a keyring or an epoch that docs/FORMAT.md does not allow, and what breaks the
walk through a ledger. No vault is needed.
"""
import contextlib
import hashlib
import io
import os
import runpy
import sys
import types

from nacl.signing import SigningKey

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'system'))

import reader	# noqa: E402
from bed import Failed, main, need, same, say, step	# noqa: E402

SEALS, SECOND = reader.SEALS_AT, reader.WRAPS + reader.WRAP	# of the box of the seals; of the second wrap
EPOCH = 3


def vectors():
    """What tests/vectors/anchor_slot.py makes its file of."""
    with contextlib.redirect_stdout(io.StringIO()):
        return runpy.run_path(os.path.join(HERE, '..', 'vectors', 'anchor_slot.py'))


def put(data, at, new):
    return data[:at] + new + data[at + len(new):]


def noticed(what, function, *args):
    try:
        function(*args)
    except (AssertionError, reader.Closed) as e:
        say(f'{what}: {e}')
        return
    raise Failed(f'{what} is not noticed')


def slots(v):
    head, plain = v['head'], v['plain'].ljust(reader.SEALS_LEN, b'\0')
    good = reader.Slot(head + v['stripes'])
    need(good.valid, 'the slot is not valid')
    same(good.root(v['seals'][0][1], v['seals'][0][3]), v['root'], 'the root key by the KEK')
    same(good.recover(v['SECRET']), v['root'], 'the root key by the recovery key')
    noticed('another recovery key', good.recover, bytes(range(32)))
    noticed('another id', good.root, bytes(16), v['seals'][0][3])
    noticed('another KEK', good.root, v['seals'][0][1], bytes(32))

    def seals(plain, head=head):
        box = v['box'](v['root'], reader.SEALS, v['seals_nonce'], plain, 864)
        slot = reader.Slot(put(head, SEALS, box) + v['stripes'])
        return slot.seals(v['root']), slot

    found, slot = seals(plain)
    same([(s.kind, s.ident, s.name.rstrip(b'\0'), s.key, s.since, s.made) for s in found], v['seals'], 'the seals')
    same((bytes([slot.dead_class]), slot.lasting), (v['dead_class'], v['lasting']), 'what is known of former seals')
    one, two = 16, 16 + reader.SEAL
    for what, at, new in (
            ('another count', 0, b'\1'), ('a class that is none', 1, b'E'), ('zeros of the head', 7, b'\1'),
            ('lasting beyond the epoch', 8, b'\x7f'), ('another id', one, b'\0'), ('another name', one + 16, b'g'),
            ('another kind', one + 48, b'\2'), ('zeros of a seal', one + 55, b'\1'), ('another KEK', one + 56, b'\0'),
            ('since an epoch to come', one + 88, b'\x7f'), ('since no epoch', one + 88, bytes(8)),
            ('one id twice', two, plain[one:one + 16]), ('one name twice', two + 16, plain[one + 16:one + 48]),
            ('a seal too many', two + reader.SEAL, b'\1')):
        noticed(f'seals: {what}', seals, put(plain, at, new))
    for what, at, new in (
            ('zeros of the head', 12, b'\1'), ('zeros before the wraps', 95, b'\1'),
            ('zeros of a wrap', reader.WRAPS + 255, b'\1'), ('a KEK sealed for somebody', reader.WRAPS + 170, b'\1'),
            ('a box of a wrap', reader.WRAPS + 100, bytes(2)), ('a wrap too many', SECOND + 256, b'\1'),
            ('nothing for the recovery key', SECOND + 170, bytes(80)), ('zeros behind the seals', SEALS + 937, b'\1')):
        noticed(f'slot: {what}', seals, plain, put(head, at, new))
    for what, at, new in (('format', 8, b'\0\1'), ('count', 10, b'\0\0'), ('count', 10, b'\0\x09')):
        need(not reader.Slot(put(head, at, new) + v['stripes']).valid, f'a slot with another {what} is valid')


def category(key, version, state, restricted=0, made=1):
    return key + version.to_bytes(2, 'big') + bytes([state, restricted]) + made.to_bytes(4, 'big')


def keyring(*categories):
    head = bytes(16) + (7).to_bytes(8, 'big') + bytes(24) + EPOCH.to_bytes(8, 'big')
    return reader.Person(head + b''.join(categories), 7)


def keyrings():
    none, dead = bytes(40), category(bytes(32), 1, reader.SHREDDED)
    live, before = category(b'k' * 32, 2, reader.LIVE), category(b'b' * 32, 1, reader.LIVE)
    good = keyring(live, none, dead)
    same((good.epoch, good.keys, good.made[1], good.before), (EPOCH, {1: b'k' * 32}, 1, {}), 'a keyring')
    content = (live, none, none, live, *[none] * 4)
    same(keyring(*content, before, none).before, {reader.CONTENT: b'b' * 32}, 'a version before')
    for what, all_ in (
            ('whole without need', (live, *[none] * 9)), ('cut short', (live, none)),
            ('a live category without a key', (category(bytes(32), 1, reader.LIVE), none, none)),
            ('a shredded category with its key', (category(b'k' * 32, 1, reader.SHREDDED), none, none)),
            ('an unused category with a time', (live, category(bytes(32), 0, reader.UNUSED), none)),
            ('a version before of nothing', (live, *[none] * 7, before, none)),
            ('a version before that is not older', (*content, category(b'b' * 32, 2, reader.LIVE), none)),
            ('a version before that is shredded', (*content, dead, none))):
        noticed(f'keyring: {what}', keyring, *all_)


def epochs():
    vault = types.SimpleNamespace(boxes=[types.SimpleNamespace()])
    same(reader.Vault.age(vault, EPOCH.to_bytes(8, 'big'), EPOCH), EPOCH, 'an epoch')
    for what, epoch in (('none', 0), ('above that of the page above', EPOCH + 1)):
        noticed(f'epoch: {what}', reader.Vault.age, vault, epoch.to_bytes(8, 'big'), EPOCH)


def ledger(*said):
    """A ledger of entries (kind, key that it names or None, key that signs)."""
    vault, out = bytes(range(16, 32)), []
    head = hashlib.blake2b(vault, digest_size=32).digest()
    for n, (kind, named, key) in enumerate(said, 1):
        ids = bytes(named.verify_key) if named else bytes([n]) * 32
        entry = n.to_bytes(8, 'big') + bytes(24) + ids + bytes([0, 0, kind]) + head
        head = reader.hashed(entry)
        out.append((entry, key.sign(reader.LEDGER + vault + head).signature))
    return out


def walks():
    """Three keys, two of which followed; a file that was begun with the first, and one that was made in the end."""
    one, two, three, thief = (SigningKey(bytes([n]) * 32) for n in range(1, 5))
    public = [bytes(k.verify_key) for k in (one, two, three)]
    new, before = reader.SIGNER, reader.SIGNER_BEFORE

    def walk(key, *said):
        return reader.walk(bytes(range(16, 32)), bytes(key.verify_key), ledger(*said))

    turns = ((new, two, one), (before, one, two), (0, None, two), (new, three, two), (before, two, three))
    grown, fresh = ((0, None, one), *turns), ((1, None, three), turns[0], (before, one, three), *turns[2:])
    for what, said in (('grown', grown), ('fresh', fresh)):
        for key in (one, two, three):
            same(walk(key, *said), public[2], f'the key at the end of a ledger that is {what}')
        noticed(f'{what}, from a key that is none', walk, thief, *said)
    same(walk(one, *grown[:2]), public[1], 'up to a new key')
    for what, said in (
            ('behind the last new key one that another has signed', (*grown, (0, None, thief), (0, None, three))),
            ('one that nobody has signed at the end', (*grown, (0, None, thief))),
            ('a new key that another has signed', (*grown, (new, thief, thief), (before, three, thief))),
            ('a key before that is not', (*grown, (new, thief, three), (before, two, thief))),
            ('a key before behind no new one', (*grown, (before, two, three)))):
        noticed(what, walk, one, *said)
    good = ledger(*grown)
    for what, changed in (('one that is missing', good[:2] + good[3:]), ('two in another order', [good[1], good[0], *good[2:]])):
        noticed(what, reader.walk, bytes(range(16, 32)), public[0], changed)


def run(_):
    step('the walk')
    walks()
    step('slots and their seals')
    slots(vectors())
    step('keyrings')
    keyrings()
    step('epochs')
    epochs()


main(run)
