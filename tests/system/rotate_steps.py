"""What test_rotate.py and nightly_rotate.py share: rotations under load, under load with kill -9, and changes of the
seals with kill -9 at each call on the files of seals and anchor.
"""
import os
import random
import subprocess
import sys
import time

import bed
from bed import need, same, say, soon, step
from test_kill_loop import Churn

sys.path.insert(0, os.path.join(bed.ROOT, 'tests', 'forensic'))

import invariants	# noqa: E402
import reader	# noqa: E402

SEED = int(os.environ.get('SEED', '0')) or random.randrange(1, 1 << 31)
KINDS = ('subjects', 'index', 'tree', 'signing', 'seal')
RATE = 1500		# units a second, so that a job outlives some kills
CHANGES = 'openat,write,pwrite64,pwritev,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat'
CALLS_MAX = 60
LANES = 48		# requests that churn has on their way
PEOPLE = 6000		# of the load: if more came all the time, a slow rotation would not end


def jobs(b):
    """The newest first."""
    return b.cli('job', 'list', '--json').json['jobs']


def open_jobs(b):
    return [j for j in jobs(b) if j['state'] in ('waiting', 'running', 'paused')]


def end_well(b):
    """All jobs end by themselves, and as they should."""
    soon(lambda: not open_jobs(b), 'the jobs have ended', 120)
    bad = [(j['kind'], j['state'], j.get('failure'), j['damaged']) for j in jobs(b)
           if (j['state'], j['damaged']) != ('done', 0)]
    same(bad, [], 'jobs that did not end well')


def keys_of(vault):
    """(category keys, all others that the trees hold, index, signing, KEKs)."""
    return ({k for p in vault.people.values() for k in p.keys.values()},
            {x.key for x in vault.boxes if x.kind in (reader.PAGE, reader.BUCKET, reader.KEYRING)},
            {vault.index}, {vault.signing}, {s.key for s in vault.seals})


def nothing_left(before, after):
    """No key version of before is in use."""
    for what, old, new in zip(('category', 'page', 'index', 'signing', 'KEK'), keys_of(before), keys_of(after),
                              strict=True):
        need(old and new, f'no {what} keys')
        same(len(old & new), 0, f'{what} keys of before that are in use')


def read(b):
    """Of a stopped vault: all that must be so, statements of jobs with it."""
    vault = reader.read(b.dir)
    counted = invariants.check(vault)
    need(counted['statements'] == sum(row[1] == 4 for row in vault.rows['jobs'].values()), 'statements')
    return vault


class Vault(bed.Bed):
    def __enter__(self):
        super().__enter__()
        self.conf['vault'].update(map_size='4G')
        self.init()
        self.churn = Churn(self)
        return self

    def __exit__(self, *args):
        self.churn.process.kill()
        self.churn.process.wait()
        return super().__exit__(*args)


def under_load(b, rounds):
    """No request fails while all keys are rotated, again and again."""
    step(f'load, and {rounds} rotations of all (SEED={SEED})')
    b.start()
    b.churn.ask('load', b.url, str(PEOPLE))
    time.sleep(1)
    for n in range(rounds):
        b.cli('key', 'rotate', 'all', '--rate', 'full' if n % 2 else '2000')
    acknowledged, unknown = b.churn.ask('stop')
    need(unknown <= LANES, f'{unknown} requests without an answer: more than were on their way at the stop')
    end_well(b)
    people, = b.churn.ask('check', b.url, 'all')
    same(b.metric('pdvault_integrity_errors_total'), 0, 'integrity errors')
    same(b.stop(), 0, 'exit status')
    read(b)
    need(acknowledged > 100, 'there was hardly any load')
    say(f'{people} people, {acknowledged} writes acknowledged')


def killed(b, kills, seconds):
    """kill -9 under load at any point of the rotations."""
    step(f'{kills} kills under load, in {seconds} s at most')
    chance, asked, done = random.Random(SEED), 0, 0
    b.start()
    b.churn.ask('load', b.url)
    time.sleep(0.5)
    b.kill()
    b.churn.ask('stop')
    b.start()
    same(b.stop(), 0, 'exit status')
    before, end = read(b), time.monotonic() + seconds
    acknowledged = unknown = hit = 0
    while done < kills and time.monotonic() < end:
        b.start()
        b.churn.ask('check', b.url, 'touched')
        if asked < len(KINDS) or not open_jobs(b):
            b.cli('key', 'rotate', KINDS[asked % len(KINDS)], '--rate', str(RATE), '--detach')
            asked += 1
        b.churn.ask('load', b.url)
        time.sleep(chance.uniform(0.02, 0.25))
        b.kill()
        figures = b.churn.ask('stop')
        acknowledged, unknown, done = acknowledged + figures[0], unknown + figures[1], done + 1
        hit += any(row[1] in (1, 2) for row in rows_of_jobs(b).values())
    need(asked >= len(KINDS), 'not all kinds were asked for')
    b.start()
    end_well(b)
    people, = b.churn.ask('check', b.url, 'all')
    same(b.metric('pdvault_integrity_errors_total'), 0, 'integrity errors')
    same(b.stop(), 0, 'exit status')
    nothing_left(before, read(b))
    need(hit > done // 4, 'the kills hit no job')
    say(f'{done} kills, {hit} in a job, {asked} jobs; {people} people, {acknowledged} writes acknowledged, '
        f'{unknown} cut off')


def rows_of_jobs(b):
    return reader.rows(b.path('store'), 'jobs')


# --- seals ---


def strace(b, paths, n):
    """Attached to the server: it is killed at the n-th of the calls that change these files, in a thread."""
    command = ['strace', '-f', '-qq', '-o', b.path('strace'), '-p', str(b.process.pid), '-e', f'trace={CHANGES}',
               '-e', f'inject={CHANGES}:signal=KILL:when={n}']
    for path in paths:
        command += ['-P', path]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    status = f'/proc/{b.process.pid}/status'

    def attached():
        if process.poll() is not None:
            raise bed.Skipped(f'strace: {process.stderr.read().decode().strip()}')
        with open(status, encoding='ascii') as f:
            return 'TracerPid:\t0\n' not in f.read()
    soon(attached, 'strace is attached')
    time.sleep(0.1)		# to the other threads, too
    return process


def dies(b, words, paths, n):
    """Whether the server was killed while it did that."""
    b.start()
    tracer = strace(b, paths, n)
    tool = subprocess.Popen([os.path.join(b.bin, 'pdvault'), *words], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            env={**os.environ, **b.settings()})
    soon(lambda: tool.poll() is not None or b.process.poll() is not None, 'the job or the server ends')
    dead = b.process.poll() is not None
    if dead:
        b.process.wait()
        b.process = None
    else:
        tracer.terminate()
    tracer.wait()
    tracer.stderr.close()
    if dead:
        tool.kill()
    status = tool.wait()
    need(dead or status == 0, f'{words} ended with {status}')
    return dead


def names(b):
    return sorted(s['name'] for s in b.cli('seal', 'list', '--json').json['seals'] if s['used'])


FILES = {'file': 'key', 'second': 'key2'}


def whole(b, held, why):
    """After a start: jobs end by themselves, each seal opens alone, and no version of before is left anywhere."""
    if b.process is None:
        b.start()
    soon(lambda: not open_jobs(b), f'{why}: the jobs have ended')
    used = names(b)
    same(b.stop(), 0, f'{why}: exit status')
    roots = set()
    for name, path in FILES.items():
        same(os.path.exists(b.path(path)), name in used, f'{why}: the file of {name}')
        need(not os.path.exists(b.path(f'{path}.next')), f'{why}: PATH.next is left')
        if name in used:
            roots.add(reader.Vault(b.path('store'), b.path('anchor'), b.path(path)).root)
    same(len(roots), 1, f'{why}: root keys that the seals give')
    for name, (f, line) in held.items():
        f.seek(0)
        now = f.read()
        f.close()
        with open(b.path(FILES[name]), 'rb') if name in used else open(os.devnull, 'rb') as g:
            stays = g.read() == line
        need(stays or line[47:111] not in now, f'{why}: a version of before was not overwritten')
    # And each alone opens the vault.
    for name in used:
        away = [p for n, p in FILES.items() if n in used and n != name]
        for p in away:
            os.rename(b.path(p), b.path(f'away.{p}'))
        b.start()
        same(b.status()['subjects'], 1, f'{why}: {name} alone')
        same(b.stop(), 0, 'exit status')
        for p in away:
            os.rename(b.path(f'away.{p}'), b.path(p))
    return used


def hold_versions(b):
    held = {}
    for name, path in FILES.items():
        if os.path.exists(b.path(path)):
            f = open(b.path(path), 'rb')	# whole() closes it
            held[name] = (f, f.read())
    return held


DEEDS = ((('key', 'rotate', 'seal'), None), (('seal', 'add', 'second'), ('seal', 'remove', 'second')),
         (('key', 'rotate', 'seal'), None), (('seal', 'remove', 'second'), ('seal', 'add', 'second')))


def seals(bin, stride):
    """Killed at every stride-th call on the files of the seals, and on the anchor, of each change of the seals."""
    step('a seal is renewed, added, removed: killed at each call')
    with bed.Bed(bin) as b:
        b.environment['ASAN_OPTIONS'] = 'detect_leaks=0'	# it cannot look under ptrace(2)
        b.init()
        b.conf['seal second'] = {'kind': 'file', 'path': 'key2'}
        b.start()
        b.create({'name': {'full': 'One'}, 'emails': ['one@kings.example']})
        same(b.stop(), 0, 'exit status')
        files = [b.path(p + x) for p in FILES.values() for x in ('', '.next')]
        kills = 0
        for words, back in DEEDS:
            for paths in (files, [b.path('anchor')]):
                for n in range(1, CALLS_MAX, stride):
                    held = hold_versions(b)
                    dead = dies(b, words, paths, n)
                    kills += dead
                    used = whole(b, held, f'{" ".join(words)}, call {n} on {os.path.basename(paths[0])}')
                    # Back to where it began.
                    last = not dead and paths is not files
                    if back and not last and ('second' in used) == (words[1] == 'add'):
                        b.start()
                        b.cli(*back)
                        same(b.stop(), 0, 'exit status')
                    if not dead:
                        break
                else:
                    need(False, 'it never goes through')
            say(f'{" ".join(words)}: {kills} kills so far')
        need(kills > 8, 'hardly any call was hit')
