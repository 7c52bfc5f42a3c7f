#!/usr/bin/python3
"""Every command of docs/KEYS.md does what it is there for, with the configuration that stands beside it; those of tokens
and TPMs where there are some. A rotation goes on after a restart, and its statement is true to the letter.
"""
import json
import os
import re
import shutil
import socket
import subprocess

import bed
from bed import need, same, say, soon, step

DOCUMENT = os.path.join(bed.ROOT, 'docs', 'KEYS.md')
SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so'
WORDS = 'neun Kegel im Gewitter'


def blocks():
    """Under each heading: kind and lines of each block, in their order."""
    found, heading = {}, None
    with open(DOCUMENT, encoding='utf-8') as f:
        text = f.read()
    for m in re.finditer(r'^#+ ([^\n]*)$|^```(\w+(?: \w+)?)\n(.*?)^```$', text, re.M | re.S):
        if m[1]:
            heading = m[1]
        else:
            found.setdefault(heading, []).append((m[2], m[3]))
    return found


class Machine:
    """The paths of the document are folders of the test's."""

    def __init__(self, b):
        self.b = b
        self.places = {'/etc/pdvault': b.dir, '/var/lib/pdvault': b.dir, '/backup': b.path('backup'),
                       '/media/safe': b.path('safe'), '/mnt/second/pdvault': b.path('second')}
        for name in ('backup', 'safe', 'second'):
            os.mkdir(b.path(name))
        self.done = 0

    def placed(self, text):
        for name, place in self.places.items():
            text = text.replace(name, place)
        return text.replace('pdvaultd.conf', 'conf')

    def configure(self, text):
        for line in self.placed(text).splitlines():
            if line.startswith('['):
                section = self.b.conf.setdefault(line[1:-1], {})
            else:
                key, value = line.split(' = ')
                section[key] = value
        self.b.write_conf()

    def script(self, lines):
        env = self.b.settings() if self.b.process is not None else {}
        text = self.placed('\n'.join(lines))
        text = re.sub(r'^(pdvaultd .*)$', r'\1 --force-class-d', text, flags=re.M)
        done = subprocess.run(['bash', '-euo', 'pipefail', '-c', text], capture_output=True, text=True, check=False,
                              timeout=2 * bed.PATIENCE,
                              env={**os.environ, **self.b.environment, **env,
                                   'PATH': f"{self.b.bin}:{os.environ['PATH']}"})
        need(done.returncode == 0, f'{text}\n{done.stdout}{done.stderr}')
        self.done += len(lines)
        return done.stdout

    def run(self, text):
        """A block; its systemctl is the test's."""
        lines, out = [], ''
        for line in text.splitlines() + ['']:
            if line and not line.startswith('systemctl '):
                lines.append(line)
                continue
            out += self.script(lines) if lines else ''
            lines = []
            if 'reload' in line:
                self.b.reload()
            elif 'restart' in line:
                same(self.b.stop(), 0, 'exit status')
                self.b.start()
        return out

    def all(self, of, kinds=('sh',)):
        out = ''
        for kind, text in of:
            if kind == 'ini':
                self.configure(text)
            elif kind in kinds:
                out += self.run(text)
        return out


def seals(b):
    return {s['name']: s for s in b.cli('seal', 'list', '--json').json['seals']}


def used(b):
    return sorted(n for n, s in seals(b).items() if s['used'])


def has(b, kind):
    """A program that has not such seals says so of the configuration."""
    conf = b.path(f'probe.{kind}')
    with open(b.path('conf'), encoding='utf-8') as f:
        text = f.read()
    with open(conf, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'\[seal [^\]]*\][^\[]*', '', text).replace('path = ', 'path = probe-')
                + f'[seal {kind}]\npath = probe\nmodule = /none\ntoken = none\nsecret = ask\n')
    out = subprocess.run([os.path.join(b.bin, 'pdvaultd'), 'init', '--config', conf, '--force-class-d'],
                         capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return 'its kind is none of' not in out.stderr


def token(b, m, text):
    if not os.path.exists(SOFTHSM) or shutil.which('pkcs11-tool') is None or not has(b, 'pkcs11'):
        say('no tokens here: its commands are not run')
        return
    os.mkdir(b.path('tokens'))
    with open(b.path('softhsm2.conf'), 'w', encoding='utf-8') as f:
        f.write(f'directories.tokendir = {b.path("tokens")}\nobjectstore.backend = file\nlog.level = ERROR\n')
    b.environment['SOFTHSM2_CONF'] = b.path('softhsm2.conf')
    same(b.stop(), 0, 'exit status')	# the module is found by its environment
    b.start()
    out = m.all(text, ('sh token',))
    need('pdvault hsm' in out, out)
    need('hsm' in used(b), 'the token is not in use')
    b.cli('key', 'rotate', 'seal', '--seal', 'file')
    b.cli('seal', 'remove', 'hsm')
    del b.conf['seal hsm']


def free_port():
    """Of two neighbours, the first; somebody else can take them before they are used, as everywhere."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(('127.0.0.1', 0))
            port = one.getsockname()[1]
            try:
                two.bind(('127.0.0.1', port + 1))
            except OSError:
                continue
            return port


def tpm(b, m, text):
    if shutil.which('swtpm') is None or not has(b, 'tpm'):
        say('no TPM here: its commands are not run')
        return
    os.mkdir(b.path('swtpm'))
    port = free_port()
    process = subprocess.Popen(['swtpm', 'socket', '--tpm2', '--flags', 'not-need-init,startup-clear',
                                '--tpmstate', f'dir={b.path("swtpm")}', '--server',
                                f'type=tcp,port={port}', '--ctrl', f'type=tcp,port={port + 1}'])
    try:
        for kind, lines in text:
            if kind == 'ini':
                m.configure(lines + f'tcti = swtpm:host=127.0.0.1,port={port}\n')
            else:
                m.run(lines)
        need('tpm' in used(b), 'the TPM is not in use')
        b.cli('seal', 'remove', 'tpm')
        del b.conf['seal tpm']
    finally:
        process.terminate()
        process.wait()


def versions(b):
    """S1 was done and no more, then S1 to S2: each start keeps what the slot names, S4."""
    same(b.stop(), 0, 'exit status')
    with open(b.path('key'), encoding='ascii') as f:
        now = f.read()
    other = f'pdvault-key-1 {os.urandom(16).hex()} {os.urandom(32).hex()}\n'
    for here, beside in ((now, other), (other, now)):
        for name, line in (('key', here), ('key.next', beside)):
            with open(b.path(name), 'w', encoding='ascii') as f:
                f.write(line)
            os.chmod(b.path(name), 0o600)
        b.start()
        need(not os.path.exists(b.path('key.next')), 'S4: a version is left')
        with open(b.path('key'), encoding='ascii') as f:
            same(f.read(), now, 'S4: the version that is kept')
        same(b.stop(), 0, 'exit status')
    b.start()


def jobs(b):
    return b.cli('job', 'list', '--json').json['jobs']


def goes_on(b, people):
    """T1: the row; T2: what was done is in it; T4: a restart goes on from it; T3: the end is signed."""
    job = b.cli('key', 'rotate', 'subjects', '--rate', '4', '--detach', '--json').json
    same((job['state'], job['total']), ('waiting', len(people)), 'T1: a new job')

    def show():
        return b.cli('job', 'show', job['job'], '--json').json
    soon(lambda: show()['done'] >= 2, 'the first units')
    b.cli('job', 'pause', job['job'])
    before = show()
    same(before['state'], 'paused', 'its state')
    b.kill()
    b.start()
    now = show()
    same((now['state'], now['done']), ('paused', before['done']), 'T2: what a kill leaves')
    b.cli('job', 'resume', job['job'])
    soon(lambda: show()['state'] == 'done', 'T4: the end')
    now = show()
    same((now['done'], now['damaged']), (len(people), 0), 'units')
    need('signature' in now, 'T3: no statement')
    for n, subject in enumerate(people):
        same(b.cli('subject', 'get', subject, '--json').json['identity']['emails'], [f'marker{n}@keys.example'],
             f'the email of {n}')


def statement(b):
    """T3: what the statement says is what the job says (docs/FORMAT.md, jobs)."""
    with open(b.path('backup', 'job.json'), encoding='utf-8') as f:
        job = json.load(f)
    said = bytes.fromhex(job['statement'])
    same(len(said), 13 + 16 + 16 + 264, 'T3: the length')
    same(said[:13], b'pdvault job 1', 'the label')
    same(said[29:45].hex(), job['job'], 'the job')
    row = said[45:]
    same((row[0], row[1]), (1, 4), 'kind and state')
    same(int.from_bytes(row[64:72], 'big'), job['done'], 'done')
    same(row[168:232].rstrip(b'\0'), b'operator', 'the principal')
    same(int.from_bytes(row[256:264], 'big'), job['signer'], 'the number of the signing key')


def given(b):
    """The passphrase that the document's command reads."""
    with open(b.path('safe', 'words.txt'), 'w', encoding='utf-8') as f:
        f.write(WORDS + '\n')


def run(bin):
    text = blocks()
    with bed.Bed(bin) as b:
        m = Machine(b)
        b.init()
        b.start()
        people = [b.create({'emails': [f'marker{n}@keys.example']}) for n in range(12)]

        step('a key file')
        version = seals(b)['file']['version']
        m.all(text.pop('A key file'))
        need(seals(b)['file']['version'] != version, 'S2: it is the same version')
        need(not os.path.exists(b.path('key.next')), 'S3: a version is left')
        versions(b)

        step('a credential')
        os.mkdir(b.path('credentials'))
        with open(b.path('credentials', 'pdvault-kek'), 'wb') as f:
            f.write(os.urandom(32))
        os.chmod(b.path('credentials', 'pdvault-kek'), 0o600)
        b.environment['CREDENTIALS_DIRECTORY'] = b.path('credentials')
        m.all(text.pop('A credential of the service manager'))
        same(b.stop(), 0, 'exit status')
        b.start()
        b.cli('seal', 'add', 'host')

        step('a passphrase')
        given(b)
        m.all(text.pop('A passphrase'))
        same(used(b), ['file', 'host', 'words'], 'the seals')

        step('a token')
        token(b, m, text.pop('A PKCS#11 token'))
        step('a TPM')
        tpm(b, m, text.pop('A TPM'))

        step('a recovery key')
        m.configure('[seal words]\nsecret = file:' + b.path('safe', 'words.txt'))
        os.chmod(b.path('safe', 'words.txt'), 0o600)
        of = text.pop('A recovery key')
        out = m.run(of[0][1])
        key = re.search('[0-9a-f]{64}', out)[0]
        m.all([(kind, t.replace('64 hexadecimal digits', key)) for kind, t in of[1:]])
        same(used(b), ['file', 'host', 'paper', 'words'], 'the seals')

        step('adding, testing, removing')
        m.all(text.pop('Adding, removing, testing'), ('sh', 'sh add', 'sh remove'))
        same(used(b), ['file', 'host', 'paper', 'words'], 'the seals')
        need(not os.path.exists(b.path('second', 'spare')), 'S3: the version is still there')
        del b.conf['seal spare']

        step('all that open are lost')
        same(b.stop(), 0, 'exit status')
        for name in ('key', 'words', os.path.join('credentials', 'pdvault-kek')):
            os.unlink(b.path(name))
        for name in ('seal words', 'seal host'):
            del b.conf[name]
        b.write_conf()
        b.refuses(3)
        m.run(dict(of)['sh recover'])
        b.start()
        for name in ('words', 'host'):
            b.cli('seal', 'remove', name)
        same(used(b), ['file', 'paper'], 'the seals')

        step('rotations')
        goes_on(b, people)
        m.all(text.pop('After a suspected compromise'))
        same([(j['kind'], j['state']) for j in jobs(b)[:5]],
             [(k, 'done') for k in ('signing', 'tree', 'index', 'subjects', 'seal')], 'the order')
        m.all(text.pop('Backups and rotated subjects'))
        m.all(text.pop('Content and usage'))
        m.all(text.pop('How fast, and by itself'))
        same(b.stop(), 0, 'exit status')
        b.start()
        m.all(text.pop('Jobs'))
        soon(lambda: jobs(b)[0]['state'] == 'done', 'the job that was not waited for')
        out = m.all(text.pop('Statements'))
        need('Verified Successfully' in out, out)
        statement(b)
        same(text, {}, 'commands that were not run')
        say(f'{m.done} commands')


bed.main(run)
