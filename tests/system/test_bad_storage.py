#!/usr/bin/python3 -B
"""What lies on the disk is wrong: another vault's key file, a damaged or exchanged anchor, an older store, damaged
pages, another format, two servers on one store, a full disk or map, a read-only one. Each ends in one clear
error, changes nothing, and costs no more than what is damaged.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess

import lmdb

import bed
import wire
from bed import need, same, say, step

MARK = 'Marker-Of-Queens'
CONFIGURATION, REFUSED = 3, 4
ANCHOR_SLOT = 69632
SUBJECT_KINDS = ('keyrings', 'records', 'nodes', 'buckets')


def identity(i):
    return {'name': {'full': f'{MARK} {i}'}, 'emails': [f'queen{i}@queens.example'],
            'account_ids': [f'queen-{i}']}


def fill(b, count):
    """A few people, made through the wire; their ids as bytes."""
    ids = []
    with wire.Peer(b) as p:
        for i in range(count):
            message = (wire.field(1, wire.field(1, f'{MARK} {i}')) + wire.field(2, f'queen{i}@queens.example') +
                       wire.field(7, f'queen-{i}'))
            answer = p.call('Vault.CreateSubject', wire.field(1, message), mutates=True)
            same(answer.code, 'OK', 'a new subject')
            ids += answer.values(1)
    return ids


def all_there(b, ids, but=()):
    with wire.Peer(b) as p:
        for i, subject in enumerate(ids):
            if i in but:
                continue
            answer = p.call('Vault.GetIdentity', wire.field(1, subject))
            need(answer.code == 'OK' and f'{MARK} {i}'.encode() in answer.message, f'subject {i}: {answer}')
            same(p.call('Vault.FindSubject', wire.field(3, f'queen-{i}')).values(1), [subject], 'found')


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def put(path, data, at=None):
    """Overwrites in place."""
    with open(path, 'r+b') as f:
        if at is None:
            f.truncate(len(data))
        f.seek(at or 0)
        f.write(data)


@contextlib.contextmanager
def unharmed(b, *names):
    """These files are as before after the block."""
    before = {n: content(b.path(n)) for n in names}
    yield
    for n, data in before.items():
        need(content(b.path(n)) == data, f'{n} was changed')


@contextlib.contextmanager
def borrowed(b, *names):
    """The block may spoil these files; they are put back, in place."""
    before = {n: content(b.path(n)) for n in names}
    yield
    for n, data in before.items():
        if os.path.exists(b.path(n)):
            put(b.path(n), data)
        else:
            with open(b.path(n), 'wb') as f:
                f.write(data)
        os.chmod(b.path(n), 0o600)


def key_file(b, other):
    with borrowed(b, 'key'):
        put(b.path('key'), content(other.path('key')))
        with unharmed(b, 'anchor'):
            b.refuses(REFUSED, 'recovery_refused')
    with borrowed(b, 'key'):		# the right name and the wrong key
        data = bytearray(content(b.path('key')))
        data[60] = ord('0') if data[60] != ord('0') else ord('1')
        put(b.path('key'), data)
        with unharmed(b, 'anchor'):
            b.refuses(REFUSED, 'recovery_refused')
    with borrowed(b, 'key'):
        put(b.path('key'), b'x' * 112)
        b.refuses(CONFIGURATION, '"event":"seal"')
        put(b.path('key'), b'')
        b.refuses(CONFIGURATION, '"event":"seal"')
        os.unlink(b.path('key'))
        b.refuses(CONFIGURATION, '"event":"seal"')
    with borrowed(b, 'key'):
        os.chmod(b.path('key'), 0o644)
        b.refuses(CONFIGURATION, '"event":"seal"')


def live_slot(b):
    """Which of the two slots is the live one."""
    data = content(b.path('anchor'))
    live = [p for p in (0, 1) if data[p * ANCHOR_SLOT:][:7] == b'pdvslot']
    same(len(live), 1, 'live slots')	# K5: the other is random
    return live[0]


def anchor(b, other):
    at = live_slot(b) * ANCHOR_SLOT
    for offset, why in ((8, 'header'), (60, 'commitment'), (150, 'wrap'), (2500, 'seals'),
                        (5000, 'stripes'), (ANCHOR_SLOT - 1, 'the last stripe')):
        with borrowed(b, 'anchor'):
            data = content(b.path('anchor'))
            put(b.path('anchor'), bytes([data[at + offset] ^ 1]), at + offset)
            with unharmed(b, 'anchor'):
                b.refuses(REFUSED, 'recovery_refused')
            say(f'{why}: refused')
    with borrowed(b, 'anchor'):
        put(b.path('anchor'), content(other.path('anchor')))
        with unharmed(b, 'anchor'):
            b.refuses(REFUSED, 'recovery_refused')
    with borrowed(b, 'anchor'):
        put(b.path('anchor'), content(b.path('anchor'))[:-1])
        b.refuses(CONFIGURATION, 'anchor')
        os.unlink(b.path('anchor'))
        b.refuses(CONFIGURATION, 'anchor')


def rolled_back(b, ids):
    """The store or the anchor of before a switch beside the other of after it."""
    shutil.copytree(b.path('store'), b.path('store.old'))
    old_anchor = content(b.path('anchor'))
    b.start()
    ids += fill_more(b, len(ids))
    same(b.stop(), 0, 'exit status')
    with borrowed(b, 'anchor'):
        put(b.path('anchor'), old_anchor)
        with unharmed(b, 'anchor'):
            b.refuses(REFUSED, 'recovery_refused')
    os.rename(b.path('store'), b.path('store.new'))
    os.rename(b.path('store.old'), b.path('store'))
    with unharmed(b, 'anchor'):
        b.refuses(REFUSED, 'recovery_refused')
    shutil.rmtree(b.path('store'))
    os.rename(b.path('store.new'), b.path('store'))


def fill_more(b, start):
    with wire.Peer(b) as p:
        message = wire.field(1, wire.field(1, f'{MARK} {start}')) + wire.field(7, f'queen-{start}')
        return p.call('Vault.CreateSubject', wire.field(1, message), mutates=True).values(1)


def environment(b, **more):
    return lmdb.open(b.path('store'), max_dbs=16, map_size=256 << 20, **more)


def other_format(b):
    """One of before, and one that is to come."""
    for other in (b'\0\0\0\3', b'\0\0\0\5'):
        with borrowed(b, 'store/data.mdb'):
            with environment(b) as env:
                table = env.open_db(b'meta')
                with env.begin(write=True) as txn:
                    same(txn.get(b'format', db=table), b'\0\0\0\4', 'the format')
                    txn.put(b'format', other, db=table)
            with unharmed(b, 'anchor'):
                b.refuses(REFUSED)
            need('another format' in b.log_text(b.lives), 'the log does not say it')


def two_servers(b):
    b.refuses(REFUSED, 'another process')
    need(wire.works(b), 'the first')
    # Nor with an anchor of its own.
    own = dict(b.conf['anchor'])
    shutil.copy(b.path('anchor'), b.path('anchor.copy'))
    b.conf['anchor']['path'] = 'anchor.copy'
    b.refuses(REFUSED, 'another process')
    b.conf['anchor'] = own
    need(wire.works(b), 'the first')


def rows(b, table):
    """Where each row's value lies in the file: free pages may hold copies of it, too."""
    data, found = content(b.path('store', 'data.mdb')), []
    with environment(b, readonly=True, lock=False) as env:
        with env.begin(buffers=False) as txn:
            for key, value in txn.cursor(env.open_db(table.encode(), txn=txn, create=False)):
                places = [m.start() for m in re.finditer(re.escape(value), data)]
                need(places, 'a row that is not in the file')
                found.append((key, value, places))
    return found


def damaged_rows(b, ids):
    """A bit of each kind of sealed row: who hangs on it is told so, everybody else is served."""
    for kind in SUBJECT_KINDS:
        with borrowed(b, 'store/data.mdb', 'anchor'):
            # Of buckets several: one may hold no account id, and those are what is asked for.
            for _, value, places in rows(b, kind)[:8 if kind == 'buckets' else 1]:
                for at in places:
                    put(b.path('store', 'data.mdb'), bytes([value[40] ^ 1]), at + 40)
            b.start()
            hurt = well = 0
            with wire.Peer(b) as p:
                for i, subject in enumerate(ids):
                    got = p.call('Vault.GetIdentity', wire.field(1, subject))
                    found = p.call('Vault.FindSubject', wire.field(3, f'queen-{i}'))
                    for answer in (got, found):
                        need(answer.code in ('OK', 'DATA_LOSS'), f'{kind}: {answer}')
                        need(answer.code == 'OK' or answer.reason in ('INTEGRITY', 'CORRUPT'), answer.reason)
                        hurt += answer.code == 'DATA_LOSS'
                        well += answer.code == 'OK'
                same(p.call('Health.Check').code, 'OK', 'health')
            need(hurt > 0, f'a damaged row of {kind} goes unseen')
            if kind in ('keyrings', 'records'):
                # One person: the record alone, or record and look-up.
                same(hurt, 2 if kind == 'keyrings' else 1, f'answers hurt by {kind}')
            need(b.metric('pdvault_integrity_errors_total') >= hurt, 'the metric')
            need(b.count('integrity') > 0, 'the log')
            say(f'{kind}: {hurt} answers say DATA_LOSS, {well} are right')
            b.stop()
    b.start()
    all_there(b, ids)
    same(b.metric('pdvault_integrity_errors_total'), 0, 'integrity errors of the whole store')
    same(b.stop(), 0, 'exit status')


def damaged_engine(b, ids):
    """The engine's own pages: it ends with an error of ours, or serves; it never dies of a signal."""
    size = os.path.getsize(b.path('store', 'data.mdb'))
    cases = {
        'no meta page': lambda path: put(path, bytes(8192), 0),
        'no magic': lambda path: (put(path, b'\xff' * 4, 16), put(path, b'\xff' * 4, 4096 + 16)),
        'empty': lambda path: put(path, b''),
        'half a page': lambda path: put(path, content(path)[:2048]),
        'cut off': lambda path: put(path, content(path)[:12288]),
    }
    for name, spoil in cases.items():
        with borrowed(b, 'store/data.mdb', 'anchor'):
            spoil(b.path('store', 'data.mdb'))
            with unharmed(b, 'anchor'):
                status = b.daemon('run')
            need(status in (1, CONFIGURATION, REFUSED), f'{name}: exit status {status}')
            need(b.count('store_error') + b.count('fatal') + b.count('config') > 0, f'{name}: the log')
            say(f'{name}: exit status {status}')
    same(os.path.getsize(b.path('store', 'data.mdb')), size, 'put back')
    b.start()
    all_there(b, ids)
    same(b.stop(), 0, 'exit status')


def write_until_full(b):
    """Creates until the store is full; the ids of those that were made."""
    made, refusal = [], None
    padding = b''.join(wire.field(8, wire.field(1, f'k{i}') + wire.field(2, 'v' * 1000)) for i in range(16))
    with wire.Peer(b) as p:
        for n in range(20000):
            message = wire.field(1, wire.field(1, f'{MARK} full')) + wire.field(7, f'full-{n}') + padding
            answer = p.call('Vault.CreateSubject', wire.field(1, message), mutates=True)
            if answer.code != 'OK':
                refusal = answer
                break
            made += answer.values(1)
    need(refusal is not None, 'it is never full')
    same((refusal.code, refusal.reason), ('RESOURCE_EXHAUSTED', 'STORE_FULL'), 'the answer')
    return made


def full(b, ids, make_room):
    """Full: writes are refused, reads go on, people can be erased; with room it goes on by itself."""
    made = write_until_full(b)
    say(f'full after {len(made)}')
    all_there(b, ids)
    b.cli('subject', 'create', '--input', '-', expect=6, text=json.dumps({'identity': identity(999)}))
    gone = []
    with wire.Peer(b) as p:
        for subject in made[:20]:
            answer = p.call('Rights.EraseSubject', wire.field(1, subject), mutates=True)
            same(answer.code, 'OK', 'an erasure on a full store')
            gone.append(subject)
        for subject in gone:
            same(p.call('Vault.GetIdentity', wire.field(1, subject)).reason, 'SUBJECT_ERASED', 'erased')
    make_room()
    bed.soon(lambda: b.cli('subject', 'create', '--input', '-', expect=None,
                           text=json.dumps({'identity': identity(999)})).status == 0, 'there is room again')
    same(b.stop(), 0, 'exit status')
    b.start()
    all_there(b, ids)
    with wire.Peer(b) as p:
        for subject in gone:
            same(p.call('Vault.GetIdentity', wire.field(1, subject)).reason, 'SUBJECT_ERASED', 'erased')
        for subject in made[20:]:
            same(p.call('Vault.GetIdentity', wire.field(1, subject)).code, 'OK', 'made before it was full')


def full_map(bin):
    with bed.Bed(bin) as b:
        b.conf['vault'].update(map_size='16M', reserve='1M')
        b.init()
        b.start()
        ids = fill(b, 5)

        def make_room():
            b.stop()
            b.conf['vault']['map_size'] = '32M'
            b.start()
        full(b, ids, make_room)
        same(b.stop(), 0, 'exit status')
        b.quiet(MARK, 'queen')


@contextlib.contextmanager
def small_disk(b):
    """The vault's store on a small file system of its own."""
    os.mkdir(b.path('disk'))
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m,mode=700', 'none', b.path('disk')],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield False
        return
    try:
        yield True
    finally:
        if b.process is not None:
            b.kill()
        subprocess.run(['umount', b.path('disk')], check=False)


def full_disk(bin):
    with bed.Bed(bin) as b, small_disk(b) as mounted:
        if not mounted:
            say('no small disk can be mounted here: only the map limit was tested')
            return
        b.conf['vault'].update(path='disk/store', map_size='1G', reserve='2M')
        b.conf['anchor']['path'] = 'disk/anchor'
        b.init()
        b.start()
        ids = fill(b, 5)
        with open(b.path('disk', 'filler'), 'wb') as f:		# the disk is another's too
            f.write(bytes(4 << 20))
        full(b, ids, lambda: os.unlink(b.path('disk', 'filler')))
        same(b.stop(), 0, 'exit status')
        step('a read-only disk')
        subprocess.run(['mount', '-o', 'remount,ro', b.path('disk')], check=True)
        read_only(b, ids)
        subprocess.run(['mount', '-o', 'remount,rw', b.path('disk')], check=True)
        b.start()
        all_there(b, ids)
        same(b.status()['read_only'], False, 'read-only no more')
        same(b.stop(), 0, 'exit status')
        b.quiet(MARK, 'queen')


def read_only(b, ids):
    b.start()
    all_there(b, ids)
    status = b.status()
    same(status['read_only'], True, 'status')
    need(status['settled_epoch'] < status['epoch'], 'what could not be settled is settled')
    same(b.get('/readyz')[0], 503, '/readyz')
    same(b.get('/livez')[0], 200, '/livez')
    with wire.Peer(b) as p:
        for method, message in (('Vault.CreateSubject', wire.field(1, wire.field(4, 'de'))),
                                ('Rights.EraseSubject', wire.field(1, ids[0]))):
            answer = p.call(method, message, mutates=True)
            same((answer.code, answer.reason), ('UNAVAILABLE', 'READ_ONLY'), method)
    b.cli('subject', 'create', '--input', '-', '--timeout', '2s', expect=6,
          text=json.dumps({'identity': identity(1)}))
    same(b.stop(), 0, 'exit status')


def run(bin):
    with bed.Bed(bin) as b, bed.Bed(bin) as other:
        other.init()
        b.init()
        b.start()
        ids = fill(b, 40)
        step('two servers on one store')
        two_servers(b)
        same(b.stop(), 0, 'exit status')
        for name, test, args in (
                ('another key file', key_file, (other,)), ('a damaged anchor', anchor, (other,)),
                ('rolled back', rolled_back, (ids,)), ('another format', other_format, ()),
                ('damaged rows', damaged_rows, (ids,)), ('damaged pages of the engine', damaged_engine, (ids,))):
            step(name)
            test(b, *args)
        b.start()
        all_there(b, ids)
        same(b.stop(), 0, 'exit status')
        b.quiet(MARK, 'queen')
    step('a full map')
    full_map(bin)
    step('a full disk')
    full_disk(bin)


bed.main(run)
