#!/usr/bin/python3
"""Backups of both kinds while the vault serves, and what comes back of them: everybody but the erased (R1 to R5)."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import lmdb

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'forensic'))

import bed	# noqa: E402
import invariants	# noqa: E402
import reader	# noqa: E402
from bed import need, same, say, step	# noqa: E402

REFUSED = 4


def person(b, n):
    return b.create({'name': {'full': f'Marker {n}'}, 'emails': [f'marker{n}@restore.example'],
                     'phones': ['+46 8 5550 100']}, {'legal_name': f'Marker {n} AB'})


def sale(b, subject, n):
    b.cli('transaction', 'append', subject, '--input', '-', text=json.dumps(
        [{'id': f's{n}', 'time': '2024-02-29T12:00:00Z', 'amount_minor': n, 'currency': 'SEK'}]))


def email_of(b, subject, **more):
    answer = b.cli('subject', 'get', subject, '--json', **more)
    return answer.json['identity']['emails'][0] if answer.status == 0 else None


def begin(bin, recovery=True):
    b = bed.Bed(bin)
    if recovery:
        key = b.cli_alone('recovery', 'new', '--out', b.path('recovery'), '--json').json['recovery_key']
        b.conf['backup'] = {'recovery_key': key}
    b.conf['ledger'] = {'copies': 'ledger.copy'}
    b.init()
    b.start()
    return b


def lose(b):
    """The machine's disks are gone."""
    b.kill()
    shutil.rmtree(b.path('store'))
    os.unlink(b.path('anchor'))
    os.unlink(b.path('key'))


def restore(b, *args, expect=0):
    status = b.daemon('restore', *args)
    if status != expect and (expect is not None or status in (0, -6, -11, 134)):
        raise bed.Failed(f'restore ended with {status} instead of {expect}: {b.said}{b.log_text(b.lives)}')
    return b.said


def check_files(b):
    """What lies on the disk, read by other code from docs/FORMAT.md."""
    vault = reader.read(b.dir)
    invariants.check(vault)
    return vault


def disaster(bin):
    step('after a disaster: keys, data and ledger')
    with begin(bin) as b:
        people = [person(b, n) for n in range(40)]
        for n, subject in enumerate(people[:10]):
            sale(b, subject, n)
        b.cli('subject', 'erase', people[0], '--yes')
        b.cli('backup', 'data', b.path('data'), '--json')
        keys = b.cli('backup', 'keys', b.path('keys'), '--json').json
        same(b.cli('backup', 'list', '--json').json['key_backups'][0]['backup'], keys['backup'], 'the key backup')
        late = person(b, 100)			# neither keys nor records of this one are backed up
        b.cli('subject', 'erase', people[1], '--yes')
        erasure = b.cli('subject', 'erase', people[2], '--category', 'BILLING', '--yes', '--json').json['erasure']
        got = b.cli('erasure', 'get', erasure, '--json').json
        same((got['state'], got['key_backups']), ('SHREDDED', 1), 'an erasure with a key backup outstanding')
        b.cli('ledger', 'export', b.path('ledger'))
        epoch = b.status()['epoch']
        need('NO_RESTORE_TRIED' in b.status()['warnings'], b.status()['warnings'])
        os.mkdir(b.path('room'))
        said = b.cli('backup', 'drill', b.path('data'), '--keys', b.path('keys'), '--recovery', b.path('recovery'),
                     '--ledger', b.path('ledger'), '--config', b.path('conf'), '--place', b.path('room')).out
        need('looked at: 38 subjects, 76 look-ups' in said, said)
        same(os.listdir(b.path('room')), [], 'what a drill leaves')
        b.cli('backup', 'verify', b.path('data'), '--note')
        same(b.status()['warnings'], [], 'warnings')
        bed.soon(lambda: b.metric('pdvault_backup_drill_timestamp_seconds') > 0 and
                 b.metric('pdvault_key_backups_outstanding') == 1, 'metrics')
        write(b.path('broken'), open(b.path('ledger'), 'rb').read()[:-1] + b'x')
        b.cli('backup', 'drill', b.path('data'), '--keys', b.path('keys'), '--recovery', b.path('recovery'),
              '--ledger', b.path('broken'), '--config', b.path('conf'), '--place', b.path('room'), expect=1)
        same(os.listdir(b.path('room')), [], 'what a drill leaves that failed')
        killed_drills(b)
        lose(b)
        said = restore(b, '--data', b.path('data'), '--keys', b.path('keys'), '--recovery', b.path('recovery'),
                       '--ledger', b.path('ledger'))
        say(said.strip())
        vault = check_files(b)
        b.start()
        status = b.status()
        same((status['subjects'], status['erased'], status['ledger_entries']), (38, 2, 5), 'who is back')
        need(status['incarnation'] > 1 and status['epoch'] >= epoch, 'incarnation and epoch')
        need(vault.epoch == status['epoch'], 'the epoch on the disk')
        for n, subject in enumerate(people):
            if n < 2:
                b.cli('subject', 'get', subject, expect=4)
            else:
                same(email_of(b, subject), f'marker{n}@restore.example', f'the email of {n}')
                same(b.cli('subject', 'find', '--email', f'MARKER{n}@restore.example', '--json').json['subjects'],
                     [subject], f'{n} is found')
        b.cli('billing', 'get', people[2], expect=4)
        same(b.cli('billing', 'get', people[3], '--json').json['billing']['legal_name'], 'Marker 3 AB', 'billing')
        same([t['id'] for t in b.cli('transaction', 'list', people[5], '--json').json['transactions']], ['s5'], 'sales')
        sale(b, people[5], 5)			# is there already
        sale(b, people[5], 77)
        b.cli('subject', 'get', late, expect=3)
        same(len(b.cli('subject', 'find', '--phone', '+46 8 5550 100', '--json').json['subjects']), 38, 'by phone')
        new = person(b, 200)
        same(email_of(b, new), 'marker200@restore.example', 'a new one')
        b.cli('subject', 'erase', people[4], '--yes')
        same(b.cli('erasure', 'get', erasure, '--json').json['state'], 'SHREDDED', 'the key backup is still there')
        b.cli('backup', 'destroy', b.path('keys'), '--yes')
        same(b.cli('erasure', 'get', erasure, '--json').json['state'], 'FINAL', 'it is destroyed')
        need(not os.path.exists(b.path('keys', 'root.sealed')), 'the sealed root key is gone')
        b.cli('ledger', 'export', b.path('ledger'))
        b.stop()
        check_files(b)


def killed_drills(b):
    """A drill that is told to end leaves nothing; what one leaves that cannot is overwritten by the next."""
    drill = b.command('drill', *data_args(b.path('data')), *keys_args(b), '--place', b.path('room'))
    left = 0
    for n in range(30):
        kill, before = n % 2 == 0, set(os.listdir(b.path('room')))
        p = subprocess.Popen(drill, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bed.soon(lambda: set(os.listdir(b.path('room'))) - before or p.poll() is not None, 'it has begun')	# noqa: B023
        time.sleep(0.002 * n)
        for path in glob(b, 'room/*/anchor') + glob(b, 'room/*/key'):
            with contextlib.suppress(FileNotFoundError):
                os.link(path, b.path(f'name{n}.{os.path.basename(path)}'))
        p.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        p.wait()
        left += len(os.listdir(b.path('room')))
        if not kill:
            same(os.listdir(b.path('room')), [], 'what a drill leaves that was told to end')
    need(left > 0, 'none was killed while it had something')
    os.chmod(b.path('room'), 0o777)
    need(subprocess.run(drill, check=False, capture_output=True).returncode != 0, 'a place that others can change')
    os.chmod(b.path('room'), 0o700)
    # The name of another's folder is not enough, nor is a link to one.
    os.mkdir(b.path('mine'), 0o700)
    write(b.path('mine', 'anchor'), b'mine')
    os.symlink(b.path('mine'), b.path('room', 'pdvault-drill.abcdef'))
    same(subprocess.run(drill, check=False, capture_output=True).returncode, 0, 'the next drill')
    same(os.listdir(b.path('room')), ['pdvault-drill.abcdef'], 'what is left')
    same(open(b.path('mine', 'anchor'), 'rb').read(), b'mine', 'a file that is none of a drill')
    os.unlink(b.path('room', 'pdvault-drill.abcdef'))
    for path in glob(b, 'name*.key'):
        need(b'pdvault-key-1' not in open(path, 'rb').read(), f'{path} was removed, not overwritten')
    say(f'30 drills ended early, {left} of them left something, which the next overwrote')


def glob(b, pattern):
    return sorted(str(p) for p in pathlib.Path(b.dir).glob(pattern))


def small(bin):
    """The disk of the backup fills: one clear error, and with more room it goes on."""
    step('a backup on a disk that fills')
    with begin(bin) as b:
        for n in range(40):
            person(b, n)
        os.mkdir(b.path('small'))
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', b.path('small')]
        if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            say('no small disk can be mounted here')
            return
        try:
            for verb in ('data', 'keys'):
                folder = b.path('small', verb)
                answer = b.cli('backup', verb, folder, '--json', expect=1)
                need('No space left' in answer.error['detail'], answer.out)
                b.cli('backup', 'verify', folder, expect=1)
                subprocess.run(['mount', '-o', 'remount,size=1m', b.path('small')], check=True)
                b.cli('backup', verb, folder)
                b.cli('backup', 'verify', folder)
                shutil.rmtree(folder)
                subprocess.run(['mount', '-o', 'remount,size=16k', b.path('small')], check=True)
        finally:
            subprocess.run(['umount', b.path('small')], check=True)


def data_args(*folders):
    return [a for f in folders for a in ('--data', f)]


def keys_args(b, recovery='recovery', ledger='ledger', keys='keys'):
    return ['--keys', b.path(keys), '--recovery', b.path(recovery), '--ledger', b.path(ledger)]


def increments(bin):
    """Full, two increments, one of them cut off and gone on with; what they say together is the newest state (R3)."""
    step('increments, and one that was cut off')
    with begin(bin) as b:
        people = [person(b, n) for n in range(30)]
        full = b.cli('backup', 'data', b.path('d0'), '--json').json
        for n in range(0, 30, 7):
            b.cli('subject', 'update', people[n], '--input', '-',
                  text=json.dumps({'identity': {'emails': [f'moved{n}@restore.example']}, 'update_mask': ['emails']}))
        b.cli('subject', 'erase', people[1], '--yes')
        one = b.cli('backup', 'data', b.path('d1'), '--since', b.path('d0'), '--json').json
        same((one['since'], one['rows']['records']), (full['backup'], 58), 'the first increment')
        people.append(person(b, 30))
        # Cut off: chunks without a manifest, one of them half, are what a kill leaves.
        b.cli('backup', 'data', b.path('d2'), '--since', b.path('d0'), '--since', b.path('d1'), '--json')
        os.unlink(b.path('d2', 'manifest'))
        chunks = sorted(c for c in os.listdir(b.path('d2')) if c.endswith('.chunk'))
        need(chunks, 'an increment has chunks')
        os.truncate(b.path('d2', chunks[0]), os.path.getsize(b.path('d2', chunks[0])) // 2)
        b.cli('backup', 'data', b.path('d2'), '--since', b.path('d0'), '--since', b.path('d1'), expect=1)
        shutil.rmtree(b.path('d2'))
        with cut_off(b, 'd2', '--since', b.path('d0'), '--since', b.path('d1')):
            pass
        two = b.cli('backup', 'data', b.path('d2'), '--since', b.path('d0'), '--since', b.path('d1'), '--json').json
        same(two['rows']['records'], 60, 'the second increment')
        b.cli('backup', 'data', b.path('d2'), expect=1)		# is whole
        b.cli('backup', 'data', b.path('d3'), '--since', b.path('d1'), expect=1)	# the chain lacks its beginning
        checked = b.cli('backup', 'verify', b.path('d2'), '--since', b.path('d0'), '--since', b.path('d1'), '--json').json
        same(checked['backup'], two['backup'], 'what was verified')
        b.cli('backup', 'verify', b.path('d2'), expect=1)
        b.cli('backup', 'verify', b.path('d1'), '--since', b.path('d2'), expect=1)
        b.cli('backup', 'keys', b.path('keys'))
        b.cli('ledger', 'export', b.path('ledger'))
        lose(b)
        restore(b, *data_args(b.path('d1'), b.path('d0')), *keys_args(b), expect=REFUSED)
        restore(b, *data_args(b.path('d0'), b.path('d1'), b.path('d2')), *keys_args(b))
        check_files(b)
        b.start()
        for n, subject in enumerate(people):
            expected = None if n == 1 else f'moved{n}@restore.example' if n % 7 == 0 and n < 30 else \
                f'marker{n}@restore.example'
            same(email_of(b, subject, expect=None), expected, f'the email of {n}')


@contextlib.contextmanager
def cut_off(b, folder, *args):
    """A backup that is killed in the middle: its rate is low."""
    p = subprocess.Popen([os.path.join(b.bin, 'pdvault'), 'backup', 'data', b.path(folder), '--rate', '1', *args],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         env={**os.environ, **b.settings()})
    bed.soon(lambda: os.path.exists(b.path(folder, 'unfinished')) or p.poll() is not None, 'it has begun')
    p.kill()
    p.wait()
    yield
    if os.path.exists(b.path(folder, 'manifest')):
        say('it was through before it was killed')
        shutil.rmtree(b.path(folder))


def living(bin):
    """Records are lost or damaged, the keys are not (R3 with --living)."""
    step('records lost, keys alive')
    with begin(bin) as b:
        people = [person(b, n) for n in range(20)]
        b.cli('backup', 'data', b.path('data'))
        late = person(b, 20)
        b.cli('subject', 'erase', people[0], '--yes')
        b.cli('subject', 'update', people[3], '--input', '-',
              text=json.dumps({'identity': {'emails': ['moved@restore.example']}, 'update_mask': ['emails']}))
        b.cli('ledger', 'export', b.path('ledger'))
        epoch = b.status()['epoch']
        b.stop()
        os.rename(b.path('store'), b.path('old'))
        with lmdb.open(b.path('old'), max_dbs=16, map_size=1 << 28) as env, env.begin(write=True) as txn:
            records = env.open_db(b'records', txn=txn)
            keys = [bytes(k) for k, _ in txn.cursor(records)]
            txn.put(keys[8], bytes(200), db=records)		# damaged
            txn.delete(keys[10], db=records)			# lost
        # First with the records of the backup alone, then with those of the store that still open.
        write(b.path('lost'), b'')		# of a try that was cut off
        write(b.path('taken'), b'something')
        restore(b, '--living', b.path('old'), *data_args(b.path('data')), '--report', b.path('taken'), expect=REFUSED)
        nothing_of(b.path('store'))
        said = restore(b, '--living', b.path('old'), *data_args(b.path('data')), '--ledger', b.path('ledger'),
                       '--report', b.path('lost'))
        need('without a record: 1 subjects' in said, said)
        same(open(b.path('lost'), encoding='ascii').read(), f'{late}\n', 'the report')
        shutil.rmtree(b.path('store'))
        said = restore(b, '--living', b.path('old'), *data_args(b.path('old'), b.path('data')))
        need('without a record: 0 subjects' in said and ' 1 damaged rows' in said, said)
        os.rename(b.path('store'), b.path('kept'))
        os.mkdir(b.path('store'))
        long_key(b)
        restore(b, '--living', b.path('old'), *data_args(b.path('data')))
        b.start()
        same(b.status()['epoch'], epoch + 1, 'the epoch')
        for n, subject in enumerate(people):
            same(email_of(b, subject, expect=None), None if n == 0 else f'marker{n}@restore.example', f'email of {n}')
        b.cli('subject', 'find', '--email', 'moved@restore.example', expect=3)
        answer = b.cli('subject', 'get', late, '--json', expect=1)
        same(answer.error['reason'], 'RECORD_LOST', 'a record that was lost')
        b.cli('subject', 'update', late, '--input', '-',
              text=json.dumps({'identity': {'emails': ['late@restore.example']}, 'update_mask': ['emails']}))
        same(email_of(b, late), 'late@restore.example', 'a lost one, written anew')
        b.cli('subject', 'erase', late, '--yes')
        b.stop()
        check_files(b)
        # What it was made of does not open any more (K5), nor does the other one that was made.
        for other in ('old', 'kept'):
            os.rename(b.path('store'), b.path('newest'))
            os.rename(b.path(other), b.path('store'))
            b.refuses(REFUSED, 'store_lost_commits')
            os.rename(b.path('store'), b.path(other))
            os.rename(b.path('newest'), b.path('store'))


def long_key(b):
    """A row whose key no vault makes, in a store that gives records: refused, and nothing more."""
    shutil.copytree(b.path('old'), b.path('strange'))
    with lmdb.open(b.path('strange'), max_dbs=16, map_size=1 << 28) as env, env.begin(write=True) as txn:
        txn.put(bytes(300), b'x', db=env.open_db(b'records', txn=txn))
    restore(b, '--living', b.path('old'), *data_args(b.path('strange')), expect=None)
    nothing_of(b.path('store'))


def nothing_of(store):
    same(os.listdir(store) if os.path.exists(store) else [], [], 'what is left of the store')


def lost_anchor(bin):
    """The anchor is lost, the store is not: keys of a backup, and records out of the store."""
    step('the anchor is lost')
    with begin(bin) as b:
        people = [person(b, n) for n in range(10)]
        b.cli('backup', 'keys', b.path('keys'))
        b.cli('subject', 'update', people[3], '--input', '-',
              text=json.dumps({'identity': {'emails': ['moved@restore.example']}, 'update_mask': ['emails']}))
        b.cli('subject', 'erase', people[4], '--yes')
        b.cli('ledger', 'export', b.path('ledger'))
        b.kill()
        os.rename(b.path('store'), b.path('old'))
        os.unlink(b.path('anchor'))
        restore(b, *data_args(b.path('old')), *keys_args(b), expect=REFUSED)	# the key file is still there
        need('there is one already' in b.log_text(b.lives), 'why')
        os.rename(b.path('key'), b.path('old key'))
        # The store itself has the erasure that this copy of the ledger lacks: it is taken, unless it is gone there.
        write(b.path('cut'), open(b.path('ledger'), 'rb').read()[:-163])
        for name, change in (('gone', lambda t, d: t.delete(last(t, d), db=d)),
                             ('changed', lambda t, d: t.put(last(t, d), flip(t.get(last(t, d), db=d)), db=d))):
            shutil.copytree(b.path('old'), b.path(name))
            with lmdb.open(b.path(name), max_dbs=16, map_size=1 << 28) as env, env.begin(write=True) as txn:
                change(txn, env.open_db(b'ledger', txn=txn))
            restore(b, *data_args(b.path(name)), *keys_args(b, ledger='cut'), expect=REFUSED)
            nothing(b)
        restore(b, *data_args(b.path('old')), *keys_args(b, ledger='cut'))
        need('they are taken' in b.log_text(b.lives), b.log_text(b.lives))
        check_files(b)
        b.start()
        same(email_of(b, people[3]), 'moved@restore.example', 'the newest record')
        b.cli('subject', 'get', people[4], expect=4)


def last(txn, table):
    """The greatest key."""
    with txn.cursor(table) as c:
        need(c.last(), 'the table is not empty')
        return bytes(c.key())


def refusals(bin):
    """Every input that is not what it should be: one clear error, and nothing is there afterwards (R1)."""
    step('what is refused')
    with begin(bin) as b:
        people = [person(b, n) for n in range(6)]
        shares = [b.path(f'share.{n}') for n in range(1, 4)]
        b.cli('subject', 'erase', people[5], '--yes')
        b.cli('ledger', 'export', b.path('older'))
        b.cli('subject', 'erase', people[0], '--yes')
        b.cli('backup', 'data', b.path('data'))
        b.cli('backup', 'keys', b.path('keys'))
        b.cli('backup', 'keys', b.path('short'), '--lifetime', '1s')
        b.cli('subject', 'erase', people[1], '--yes')
        b.cli('ledger', 'export', b.path('ledger'))
        head = b.cli('ledger', 'head', '--json').json['head']
        b.cli_alone('recovery', 'new', '--out', b.path('other'))
        b.cli_alone('recovery', 'new', '--out', b.path('share'), '--split', '2/3')
        time.sleep(1)				# one key backup expires
        b.kill()
        store = {n: open(b.path('store', n), 'rb').read() for n in ('data.mdb',)}
        data, fine = data_args(b.path('data')), keys_args(b)
        # Into a place that is not empty.
        restore(b, *data, *fine, expect=REFUSED)
        same(open(b.path('store', 'data.mdb'), 'rb').read(), store['data.mdb'], 'the store that is there')
        lose_all(b)
        for what, args in {
            'the ledger is older': ['--keys', b.path('keys'), '--recovery', b.path('recovery'), '--ledger',
                                    b.path('older')],
            'there is no ledger': ['--keys', b.path('keys'), '--recovery', b.path('recovery')],
            'does not open it': keys_args(b, recovery='other'),
            'too few shares': keys_args(b, recovery='share.1'),
            'has expired': keys_args(b, keys='short'),
            'not a backup of keys': keys_args(b, keys='data'),
        }.items():
            restore(b, *data, *args, expect=REFUSED)
            need(what in b.log_text(b.lives), f'{what}: {b.log_text(b.lives)}')
            nothing(b)
        restore(b, *data, *keys_args(b, recovery='share.1'), '--recovery', shares[2], expect=REFUSED)
        need('does not open it' in b.log_text(b.lives), 'shares of another key')
        restore(b, *data_args(b.path('keys')), *fine, expect=REFUSED)
        restore(b, *data, *keys_args(b, ledger='missing'), expect=3)
        restore(b, *data, *fine, '--head', head[:-1] + ('0' if head[-1] != '0' else '1'), expect=REFUSED)
        restore(b, *data, *fine, '--head', 'ff', expect=3)
        damaged(b, data, fine, head)
        nothing(b)
        # A ledger of before is taken only with its head typed, and that is said for ever.
        old = [*data, '--keys', b.path('keys'), '--recovery', b.path('recovery'), '--ledger', b.path('older')]
        restore(b, *old, '--accept-resurrection', head, expect=REFUSED)
        newest = head
        head = b.cli_alone('ledger', 'verify', b.path('older'), '--json').json['head']
        said = restore(b, *old, '--head', head, '--accept-resurrection', head)
        need('RESURRECTION' in said, said)
        lose_all(b)
        # Of a head that was typed and is not there the hash is what is missing, not that of what was taken.
        cut = ['--keys', b.path('keys'), '--recovery', b.path('recovery'), '--ledger', b.path('cut')]
        write(b.path('cut'), open(b.path('ledger'), 'rb').read()[:-164])
        restore(b, *data, *cut, '--head', newest, expect=REFUSED)
        need(newest in b.log_text(b.lives), f'which head is missing: {b.log_text(b.lives)}')
        restore(b, *old, '--accept-resurrection', head)
        b.start()
        said = b.status()['resurrections']
        same([(r['ledger_head'], r['newer_entries'] > r['ledger_entries']) for r in said], [(head, True)], 'the status')
        same(email_of(b, people[1]), 'marker1@restore.example', 'who is back')
        b.cli('backup', 'data', b.path('again'))
        b.cli('backup', 'keys', b.path('again keys'))
        b.cli('ledger', 'export', b.path('again ledger'))
        # Of what the other ledger knew of nobody can say that it is gone.
        erasure = b.cli('subject', 'erase', people[1], '--yes', '--json').json['erasure']
        for key_backup in b.cli('backup', 'list', '--outstanding', '--json').json['key_backups']:
            b.cli('backup', 'destroy', key_backup['backup'], '--yes')
        same(b.cli('erasure', 'get', erasure, '--json').json['state'], 'SHREDDED', 'an erasure after a resurrection')
        b.cli('ledger', 'export', b.path('again ledger'))
        lose(b)
        # Keys from before it, data from after it: it is not forgotten.
        head = b.cli_alone('ledger', 'verify', b.path('again ledger'), '--json').json['head']
        restore(b, *data_args(b.path('again')), *keys_args(b, ledger='again ledger'), expect=REFUSED)
        restore(b, *data_args(b.path('again')), *keys_args(b, ledger='again ledger'), '--accept-resurrection', head)
        b.start()
        same([r['ledger_head'] for r in b.status()['resurrections']], [said[0]['ledger_head'], head],
             'what the data know of, and this one')
        lose(b)
        restore(b, *data_args(b.path('again')), *keys_args(b, keys='again keys', ledger='again ledger'))
        b.start()
        same(b.status()['resurrections'], said, 'also after another restore')


def lose_all(b):
    shutil.rmtree(b.path('store'), ignore_errors=True)
    for name in ('anchor', 'key'):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(b.path(name))


def nothing(b):
    """Neither a store nor keys; an empty folder may be there."""
    need(not os.path.exists(b.path('anchor')) and not os.path.exists(b.path('key')), 'no anchor, no key file')
    left = os.listdir(b.path('store')) if os.path.exists(b.path('store')) else []
    same(left, [], 'what is left of the store')


def damaged(b, data, fine, head):
    """Each file of each backup, and the ledger: flipped, cut off, missing, and one in another's place."""
    files = [f'{d}/{n}' for d in ('data', 'keys') for n in sorted(os.listdir(b.path(d)))] + ['ledger']
    for name in files:
        whole = open(b.path(name), 'rb').read()
        for what, content in (('flipped', flip(whole)), ('cut off', whole[:-200] or whole[:-1]), ('missing', None)):
            if content is None:
                os.unlink(b.path(name))
            else:
                write(b.path(name), content)
            status = b.daemon('restore', *data, *fine, '--head', head)
            need(status in (3, REFUSED), f'{name} {what}: restore ended with {status}')
            nothing(b)
            write(b.path(name), whole)
    chunks = [f for f in files if f.startswith('data/') and f.endswith('.chunk')]
    first, second = (open(b.path(c), 'rb').read() for c in chunks[:2])
    write(b.path(chunks[0]), second)
    write(b.path(chunks[1]), first)
    restore(b, *data, *fine, expect=REFUSED)
    write(b.path(chunks[0]), first)
    write(b.path(chunks[1]), second)
    say(f'{len(files)} files, flipped, cut off and missing, and two swapped: all refused')


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]


def write(path, content):
    with open(path, 'wb') as f:
        f.write(content)
    os.chmod(path, 0o600)


def cut(bin):
    """A restore that is killed anywhere starts nothing, and is begun anew (R2, R4, R5)."""
    step('a restore that is killed')
    with begin(bin) as b:
        people = [person(b, n) for n in range(60)]
        b.cli('subject', 'erase', people[7], '--yes')
        b.cli('backup', 'data', b.path('data'))
        b.cli('backup', 'keys', b.path('keys'))
        b.cli('subject', 'erase', people[8], '--yes')
        b.cli('ledger', 'export', b.path('ledger'))
        lose(b)
        marked = through = ended = 0
        began = time.monotonic()
        restore(b, *data_args(b.path('data')), *keys_args(b))
        whole = time.monotonic() - began
        for n in range(60):
            lose_all(b)
            b.write_conf()
            p = subprocess.Popen(b.command('restore', *data_args(b.path('data')), *keys_args(b)),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(whole * n / 60)
            p.send_signal(signal.SIGKILL if n % 3 else signal.SIGTERM)
            p.wait()
            through += p.returncode == 0
            if p.returncode == REFUSED:		# told to end, it takes away what it made
                ended += 1
                nothing(b)
            if os.path.exists(b.path('store', 'restore.unfinished')):
                marked += 1
                b.refuses(REFUSED, 'a restore is not through')
                restore(b, *data_args(b.path('data')), *keys_args(b))
        need(marked > 0, 'none was killed with the mark standing')
        say(f'{marked} were cut off with the mark standing, {ended} told to end, {through} came through')
        # What was put where a restore was cut off, and was not made by it, is not its to remove.
        lose_all(b)
        os.mkdir(b.path('store'))
        write(b.path('store', 'restore.unfinished'), b.path('anchor').encode() + b'\0' + b.path('key').encode() + b'\0')
        write(b.path('key.restoring'), b'half a key')
        write(b.path('anchor'), b'somebody\'s')
        restore(b, *data_args(b.path('data')), *keys_args(b), expect=REFUSED)
        need('is none that the restore made' in b.log_text(b.lives), b.log_text(b.lives))
        same(open(b.path('anchor'), 'rb').read(), b'somebody\'s', 'a file that a restore did not make')
        need(not os.path.exists(b.path('key.restoring')), 'a file that it was making')
        lose_all(b)
        os.mkdir(b.path('store'))
        os.mkfifo(b.path('store', 'restore.unfinished'))	# holds nobody up
        restore(b, *data_args(b.path('data')), *keys_args(b))
        vault = check_files(b)
        same(len(vault.people), 58, 'who is back')
        b.start()
        b.cli('subject', 'get', people[8], expect=4)
        same(email_of(b, people[9]), 'marker9@restore.example', 'who is back')


def run(bin):
    disaster(bin)
    increments(bin)
    living(bin)
    lost_anchor(bin)
    refusals(bin)
    small(bin)
    cut(bin)


bed.main(run)
