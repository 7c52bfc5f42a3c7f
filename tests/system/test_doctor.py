#!/usr/bin/python3 -B
"""`pdvaultd doctor` and `pdvault doctor`: a vault that is well, then one thing broken at a time. Each is told by the
line that is meant for it and by no other, and nothing is left behind or opened that is not to be.
"""
import ctypes
import json
import os
import pty
import re
import resource
import shutil
import struct
import subprocess
import tempfile

import bed
from bed import main, need, same, say, step

FAIL_STATUS = 3			# of pdvaultd
TOOL_FAIL_STATUS = 1		# of pdvault
LEVELS = ('OK', 'WARN', 'FAIL')
# What the machine that runs this is like, whatever the vault is.
MACHINE = ('swap', 'core', 'memlock', 'memfd_secret', 'ptrace', 'clock', 'space', 'flush')
SECRET = ('anchor', 'key', 'certificates/server.key')
IN_OPEN = 0x20


class Lines:
    """What doctor said: rows of (level, check, found, mend)."""

    def __init__(self, rows):
        self.rows = rows
        for level, check, found, mend in rows:
            need(level in LEVELS and check and found, f'a line: {(level, check, found)}')
            same(mend == '', level == 'OK', f'whether something mends {check}: {found}')

    def of(self, check):
        return [r for r in self.rows if r[1] == check]

    def fails(self):
        return {r[1] for r in self.rows if r[0] == 'FAIL' and r[1] not in MACHINE}

    def one(self, check, level, found, mend=''):
        """A line of that check says it."""
        hits = [r for r in self.of(check) if r[0] == level and found in r[2] and mend in r[3]]
        same(len(hits), 1, f'lines {level} {check} with "{found}" and "{mend}" in {self.of(check)}')
        return hits[0]

    @property
    def failed(self):
        return any(r[0] == 'FAIL' for r in self.rows)


def host(b, *options):
    """pdvaultd doctor, without --force-class-d unless it is asked for."""
    b.write_conf()
    done = subprocess.run([os.path.join(b.bin, 'pdvaultd'), 'doctor', '--config', b.path('conf'), *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=bed.PATIENCE,
                          check=False)
    same(done.stderr, '', 'standard error')
    lines = Lines([tuple(line.split('\t')) for line in done.stdout.splitlines()])
    same(done.returncode, FAIL_STATUS if lines.failed else 0, 'exit status of pdvaultd doctor')
    return lines


def forced(b):
    """The folder of this test may lie anywhere."""
    return host(b, '--force-class-d')


def tool(b, *options, **more):
    answer = b.cli('doctor', '--json', *options, expect=None, **more)
    lines = Lines([tuple(line[k] for k in ('level', 'check', 'found', 'mend')) for line in answer.json])
    same({len(line) for line in answer.json}, {4}, 'fields of a line')
    same(answer.status, TOOL_FAIL_STATUS if lines.failed else 0, 'exit status of pdvault doctor')
    return lines


def folders(b):
    return {where: sorted(name for name in os.listdir(b.path(where)) if not name.startswith('log.'))
            for where in ('.', 'store', 'certificates')}


class Watch:
    """Which of these files were opened in the with block."""

    def __init__(self, paths):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        self.names = {libc.inotify_add_watch(self.fd, os.fsencode(p), IN_OPEN): p for p in paths}
        need(self.fd >= 0 and min(self.names) > 0, 'inotify')

    def opened(self):
        try:
            data, found = os.read(self.fd, 65536), []
        except BlockingIOError:
            return []
        while data:
            number, _, _, length = struct.unpack_from('iIII', data)
            found.append(self.names[number])
            data = data[16 + length:]
        return found

    def close(self):
        os.close(self.fd)


def unopened(b):
    """Neither an anchor nor a key is opened; the control is a file that is read."""
    watch = Watch([b.path(name) for name in SECRET])
    forced(b)
    same(watch.opened(), [], 'files that doctor opened')
    with open(b.path('key'), 'rb'):
        same(watch.opened(), [b.path('key')], 'control')
    watch.close()


def well(b):
    b.init()
    b.pki.crl()
    b.conf['tls']['crl'] = 'certificates/crl.pem'
    b.write_conf()
    before = folders(b)
    lines = forced(b)
    same(lines.fails(), set(), 'what fails of a vault that is well')
    for check, count in (('store', 1), ('anchor', 1), ('keys', 2), ('certificates', 3), ('unfinished', 1)):
        same([r[0] for r in lines.of(check)], ['OK'] * count, check)
    same(len(lines.of('flush')), 2, 'flushes that were measured')
    lines.one('devices', 'WARN', 'lie in one folder', b.path('key'))
    unopened(b)
    same(folders(b), before, 'what doctor leaves')


def beside_the_server(b):
    b.start()
    before, events = folders(b), len(b.events())
    lines = forced(b)
    same(lines.fails(), set(), 'what fails while it runs')
    lines.one('memlock', 'OK', f'process {b.process.pid}')
    unopened(b)
    same(folders(b), before, 'what doctor leaves beside the server')
    same(len(b.events()), events, 'what the server noticed of it')
    asked(b)
    same(b.stop(), 0, 'exit status')


def asked(b):
    """The tool, while the server runs."""
    lines = tool(b)
    for check in ('server', 'writes', 'settled', 'filling', 'own_certificate'):
        same([r[0] for r in lines.of(check)], ['OK'], check)
    lines.one('data_backup', 'WARN', 'never', 'pdvault backup data')
    lines.one('warning', 'WARN', 'NO_RECOVERY_KEY', 'pdvault recovery new')
    same(lines.of('swap'), [], 'lines of the host without --config')
    b.cli('backup', 'data', b.path('backup'))
    tool(b).one('data_backup', 'OK', '0 hours ago')
    lines = tool(b, '--config', b.path('conf'))
    same(lines.fails() - {'class'}, set(), 'what fails with --config')
    for check in ('store', 'unfinished', 'server', 'settled'):
        same([r[0] for r in lines.of(check)], ['OK'], check)
    text = b.cli('doctor', '--config', b.path('conf'), expect=None).out
    need('\t' not in text and 'WARN  data_backup' not in text and 'mend: pdvault backup keys DIR\n' in text, text)
    same(tool(b, who='reader').fails(), {'server', 'status'}, 'a principal that may not ask')
    tool(b, who='reader').one('status', 'FAIL', 'METHOD_NOT_ALLOWED', 'Admin.GetStatus')
    b.pki.client('late', 'operator', days=3)
    tool(b, who='late').one('own_certificate', 'WARN', 'late.pem: ends')
    b.pki.client('late', 'operator', days=-1)
    tool(b, who='late').one('own_certificate', 'FAIL', 'ended')


def on_a_terminal(b):
    ours, theirs = pty.openpty()
    done = subprocess.Popen(b.command('doctor'), stdin=subprocess.DEVNULL, stdout=theirs)
    os.close(theirs)
    text = b''
    while True:
        try:
            text += os.read(ours, 4096)
        except OSError:		# the other end is closed
            break
    os.close(ours)
    done.wait(bed.PATIENCE)
    need(b'\tswap' not in text and b'WARN  devices       ' in text and b'\n                    mend: copy ' in text,
         text.decode())


def one_fails(b, check, found, mend=''):
    """Exactly this is told, by both programs; the mend."""
    lines = forced(b)
    same(lines.fails(), {check}, 'what fails')
    told = lines.one(check, 'FAIL', found, mend)
    both = tool(b, '--timeout', '200ms', '--config', b.path('conf'))
    need(told in both.rows, f'pdvault does not pass it on: {told}')
    same(both.fails() - {'class'}, {check, 'server'}, 'what fails by the tool')
    return told[3]


def permissions(b):
    for name, check, mode in (('store', 'store', 0o700), ('anchor', 'anchor', 0o600), ('key', 'keys', 0o600),
                              ('certificates/server.key', 'keys', 0o600)):
        os.chmod(b.path(name), mode | 0o044)
        command = one_fails(b, check, f'mode {mode | 0o044:04o}, open to others', f'chmod go= {b.path(name)}')
        subprocess.run(command.split(), check=True)
        same(os.stat(b.path(name)).st_mode & 0o777, mode, f'mode of {name}, mended as it says')
        same(forced(b).fails(), set(), 'what fails afterwards')


def owners(b):
    """Root looks at another user's vault: all of it has to be that user's."""
    if os.geteuid() != 0:
        say('only root can give files away')
        return
    theirs = [b.path(name) for name in ('store', *SECRET)]
    for path in theirs:
        os.chown(path, 65534, 65534)
    same(forced(b).fails(), set(), "what fails of another user's vault")
    for path, check in zip(theirs, ('store', 'anchor', 'keys', 'keys')):
        os.chown(path, 0, 0)
        lines = forced(b)
        if check != 'store':
            same(lines.fails(), {check}, f'what fails when {path} is not')
            lines.one(check, 'FAIL', f'{path}: belongs to user 0, not to 65534', f'chown 65534 {path}')
            os.chown(path, 65534, 65534)
        else:		# whose it is, is whose the vault is
            same(lines.fails(), {'anchor', 'keys'}, 'what fails when the store is not')
            os.chown(path, 65534, 65534)
    for path in theirs:
        os.chown(path, 0, 0)


def files(b):
    os.link(b.path('anchor'), b.path('second-name'))
    one_fails(b, 'anchor', 'has 2 names')
    os.unlink(b.path('second-name'))
    for name, check in (('anchor', 'anchor'), ('key', 'keys')):
        os.rename(b.path(name), b.path('away'))
        one_fails(b, check, 'is not there', 'the very same file')
        os.symlink(b.path('away'), b.path(name))
        one_fails(b, check, 'is not a regular file')
        os.unlink(b.path(name))
        os.rename(b.path('away'), b.path(name))
    size = os.path.getsize(b.path('anchor'))
    shutil.copy(b.path('anchor'), b.path('whole'))
    os.truncate(b.path('anchor'), size - 1)
    one_fails(b, 'anchor', f'has {size - 1} bytes instead of {size}')
    os.rename(b.path('whole'), b.path('anchor'))
    same(forced(b).fails(), set(), 'what fails afterwards')


def other_seals(b):
    """The file of each seal is looked at; beside the anchor only one that opens it by itself is worth a word."""
    b.conf['seal words'] = {'kind': 'passphrase', 'path': 'words', 'secret': 'ask'}
    one_fails(b, 'keys', 'words: is not there')
    with open(b.path('words'), 'wb', opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(b'x')
    lines = forced(b)
    same(lines.fails(), set(), 'what fails of two seals')
    same((len(lines.of('keys')), len(lines.of('devices'))), (3, 1), 'lines of two seals')
    os.unlink(b.path('words'))
    del b.conf['seal words']
    b.conf['seal second'] = {'kind': 'file', 'path': 'second'}
    shutil.copy(b.path('key'), b.path('second'))
    forced(b).one('devices', 'WARN', 'second lie in one folder', '[seal second] path')
    os.unlink(b.path('second'))
    del b.conf['seal second']
    b.write_conf()


def certificates(b):
    b.pki.server(days=-1)
    one_fails(b, 'certificates', 'server.pem: ended', 'renew it')
    b.pki.server(days=3)
    lines = forced(b)
    same(lines.fails(), set(), 'what fails when the end is near')
    lines.one('certificates', 'WARN', 'server.pem: ends', 'systemctl reload pdvaultd')
    b.pki.server()
    os.rename(b.pki.path('crl.pem'), b.pki.path('crl.away'))
    one_fails(b, 'certificates', 'crl.pem: No such file')
    os.rename(b.pki.path('crl.away'), b.pki.path('crl.pem'))
    same(forced(b).fails(), set(), 'what fails afterwards')


def unfinished(b):
    for name, what in (('anchor.moving', 'anchor move'), ('restore.unfinished', 'restore')):
        with open(b.path('store', name), 'w', encoding='ascii') as f:
            f.write('x')
        one_fails(b, 'unfinished', f'{what} is not through', f'pdvaultd {what} --config')
        os.unlink(b.path('store', name))
    same(forced(b).fails(), set(), 'what fails afterwards')


def locked_memory(b):
    """What doctor says is needed is what a server needs: a start with it, and none with a byte less."""
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if os.geteuid() != 0 and hard != resource.RLIM_INFINITY and hard < 8 << 20:
        say('the limit of here cannot be raised')
        return

    def within(limit):
        words = ['prlimit', f'--memlock={limit}:{limit}']
        return ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', *words] if os.geteuid() == 0 else words

    def told(limit):
        done = subprocess.run([*within(limit), *b.command('doctor')], stdout=subprocess.PIPE, text=True, check=False)
        return next(line for line in done.stdout.splitlines() if line.split('\t')[1] == 'memlock')
    needed = int(re.search(r', (\d+) are needed', told(1 << 16)).group(1))
    level, _, _, mend = told(needed - 1).split('\t')
    same((level, f'LimitMEMLOCK={needed} ' in mend), ('FAIL', True), 'a byte less')
    b.spawn(*within(needed - 1))
    same(b.process.wait(bed.PATIENCE), 1, 'exit status of a server that cannot lock its memory')
    b.process = None
    same(told(needed).split('\t')[0], 'OK', 'what is needed')
    b.start(*within(needed))
    same(b.stop(), 0, 'exit status')


def memory_disk(b):
    """The anchor on tmpfs: its class, and its flushes."""
    if not os.path.isdir('/dev/shm') or \
            subprocess.run(['stat', '-f', '-c', '%T', '/dev/shm'], capture_output=True, text=True,
                           check=False).stdout != 'tmpfs\n':
        say('no tmpfs here')
        return
    folder = tempfile.mkdtemp(prefix='pdvault-doctor-', dir='/dev/shm')
    try:
        path = os.path.join(folder, 'anchor')
        shutil.copy(b.path('anchor'), path)
        b.conf['anchor']['path'] = path
        lines = host(b)
        lines.one('class', 'FAIL', f'{path}: class D (tmpfs', 'anchor move --from')
        lines.one('flush', 'WARN', f'{folder}: flushes in', 'durable')
        lines = forced(b)
        same(lines.fails(), set(), 'what fails when class D was forced')
        lines.one('class', 'WARN', f'{path}: class D (tmpfs')
        same(os.listdir(folder), ['anchor'], 'what doctor leaves there')
    finally:
        shutil.rmtree(folder)
    b.conf['anchor']['path'] = 'anchor'
    b.write_conf()


def server_down(b):
    lines = tool(b, '--timeout', '200ms')
    same(lines.fails(), {'server'}, 'what fails while it is down')
    lines.one('server', 'FAIL', 'NOT_CONNECTED', 'systemctl status pdvaultd')
    lines = tool(b, '--timeout', '200ms', env={'PDVAULT_SERVER': ''})
    lines.one('server', 'FAIL', 'no server: give --server')


def no_configuration(b):
    with open(b.path('broken'), 'w', encoding='ascii') as f:
        f.write('[vault]\npaht = x\n')
    done = subprocess.run([os.path.join(b.bin, 'pdvaultd'), 'doctor', '--config', b.path('broken')],
                          capture_output=True, text=True, check=False)
    same((done.returncode, done.stdout), (FAIL_STATUS, ''), 'a configuration that is none')
    need('did you mean' in done.stderr, done.stderr)
    for path in ('broken', 'nowhere'):
        lines = tool(b, '--timeout', '200ms', '--config', b.path(path))
        same(lines.fails(), {'pdvaultd', 'server'}, f'what fails with {path}')
    same(subprocess.run([os.path.join(b.bin, 'pdvaultd'), 'doctor'], capture_output=True, check=False).returncode,
         2, 'without --config')


def no_program(b):
    """A tool that stands alone, and one beside a pdvaultd that dies in the middle."""
    os.mkdir(b.path('alone'))
    shutil.copy(os.path.join(b.bin, 'pdvault'), b.path('alone'))

    def run():
        done = subprocess.run([b.path('alone', 'pdvault'), 'doctor', '--json', '--timeout', '200ms', '--config',
                               b.path('conf')], stdout=subprocess.PIPE, text=True, check=False,
                              env={**os.environ, **b.settings(), 'PATH': '/nowhere'})
        same(done.returncode, TOOL_FAIL_STATUS, 'exit status')
        return [line for line in json.loads(done.stdout) if line['check'] == 'pdvaultd']

    same([line['level'] for line in run()], ['FAIL'], 'without pdvaultd')
    for text, what in (('printf "OK\\tswap\\tx\\t\\n"; exit 3', 'status 3'), ('exit 1', 'status 1'),
                       ('printf "OK\\tswap\\tx"', 'status 0'), ('kill -9 $$', 'status 137'),
                       ('printf "FAIL\\tswap\\tx\\ty\\n"', 'status 0')):
        with open(b.path('alone', 'pdvaultd'), 'w', encoding='ascii') as f:
            f.write(f'#!/bin/sh\n{text}\n')
        os.chmod(b.path('alone', 'pdvaultd'), 0o700)
        lines = run()
        same([line['level'] for line in lines], ['FAIL'], what)
        need(what in lines[0]['found'], lines[0]['found'])


def run(bin):
    with bed.Bed(bin) as b:
        step('a vault that is well')
        well(b)
        step('beside the server')
        beside_the_server(b)
        before = folders(b)
        step('on a terminal')
        on_a_terminal(b)
        step('permissions')
        permissions(b)
        step('owners')
        owners(b)
        step('files that are missing, doubled, cut off')
        files(b)
        step('other seals')
        other_seals(b)
        step('certificates')
        certificates(b)
        step('what is unfinished')
        unfinished(b)
        step('memory that may be locked')
        locked_memory(b)
        step('the anchor on a memory disk')
        memory_disk(b)
        step('the server is down')
        server_down(b)
        same(folders(b), before, 'what is left after all that')
        step('no configuration, no pdvaultd')
        no_configuration(b)
        no_program(b)
        step('and it serves')
        b.start()
        same(tool(b).fails(), set(), 'what fails in the end')


main(run)
