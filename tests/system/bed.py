"""What the system and forensic tests share: a vault in a temporary folder of its own with throw-away
certificates, the server's process, the operators' tool, the logs, and the words for checking.

A test is a script with one argument, the folder of the programs:

    def run(bin):
        with bed.Bed(bin) as b:
            b.init()
            b.start()
            b.cli('status')

    bed.main(run)

The server is ended by its process id alone. Whatever a test leaves behind goes with its folder.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

DOMAIN = 'pdvault.example'
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 60		# seconds for what is only a matter of time
SKIPPED = 77		# ctest's word for a test that could not run here


class Failed(Exception):
    """A check did not hold."""


class Skipped(Exception):
    """The test cannot run here."""


def need(condition, what):
    if not condition:
        raise Failed(what)


def same(got, expected, what):
    if got != expected:
        raise Failed(f'{what}: {got!r} instead of {expected!r}')


def step(text):
    print(f'== {text}', flush=True)


def say(text):
    print(f'   {text}', flush=True)


def held(number, text):
    """A test by its F-number has held: tests/run.sh shows these (tests/summary)."""
    line = f'F{number} held: {text}'
    print(line, flush=True)
    if 'PDVAULT_HELD' in os.environ:
        with open(os.environ['PDVAULT_HELD'], 'a', encoding='utf-8') as f:
            f.write(f'{line}\n')


def soon(condition, what, patience=PATIENCE):
    """The condition becomes true; its value."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        need(time.monotonic() < end, f'not within {patience} s: {what}')
        time.sleep(0.02)


def main(run):
    if len(sys.argv) != 2:
        print(f'usage: {sys.argv[0]} FOLDER-OF-PROGRAMS', file=sys.stderr)
        sys.exit(2)
    try:
        run(os.path.abspath(sys.argv[1]))
    except Skipped as e:
        print(f'skipped: {e}')
        sys.exit(SKIPPED)
    except Exception:	# any other failure is the test's own, and fails it as well
        traceback.print_exc()
        print('FAILED')
        sys.exit(1)
    print('passed')


# --- certificates ---


class Pki:
    """A certificate authority made with the openssl tool."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.revoked = []
        self.authority('ca')

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *args):
        done = subprocess.run(['openssl', *args], cwd=self.folder, capture_output=True, text=True,
                              check=False)
        need(done.returncode == 0, f'openssl {args[0]}: {done.stderr}')
        return done.stdout

    def new_key(self, name):
        self.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', f'{name}.key')
        os.chmod(self.path(f'{name}.key'), 0o600)

    def authority(self, name):
        self.new_key(name)
        self.openssl('req', '-x509', '-new', '-key', f'{name}.key', '-days', '30', '-subj', f'/CN={name}',
                     '-out', f'{name}.pem', '-addext', 'basicConstraints = critical, CA:TRUE',
                     '-addext', 'keyUsage = critical, keyCertSign, cRLSign')

    def issue(self, name, usage, names, ca='ca', days=30):
        """NAME.pem and NAME.key, with a new key and a new serial number each time; -1 day: it has ended."""
        self.new_key(name)
        self.openssl('req', '-new', '-key', f'{name}.key', '-subj', f'/CN={name}', '-out', f'{name}.csr')
        with open(self.path(f'{name}.ext'), 'w', encoding='ascii') as f:
            f.write('basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n'
                    f'extendedKeyUsage = {usage}\nsubjectAltName = {names}\n')
        self.openssl('x509', '-req', '-in', f'{name}.csr', '-CA', f'{ca}.pem', '-CAkey', f'{ca}.key',
                     '-days', str(days), '-set_serial', '0x1' + os.urandom(15).hex(), '-extfile', f'{name}.ext',
                     '-out', f'{name}.pem')

    def server(self, name='server', ca='ca', days=30):
        self.issue(name, 'serverAuth', f'DNS:localhost, IP:127.0.0.1, URI:spiffe://{DOMAIN}/vault', ca,
                   days)

    def client(self, name, spiffe=None, ca='ca', days=30):
        self.issue(name, 'clientAuth', f'URI:spiffe://{DOMAIN}/{spiffe or name}', ca, days)

    def serial(self, name):
        return self.openssl('x509', '-in', f'{name}.pem', '-noout', '-serial').strip().split('=')[1]

    def crl(self, *revoked):
        """crl.pem with the certificates of these names revoked, besides those of before."""
        self.revoked += [self.serial(name) for name in revoked]
        with open(self.path('index'), 'w', encoding='ascii') as f:
            for serial in self.revoked:
                f.write(f'R\t330101000000Z\t250101000000Z\t{serial}\tunknown\t/CN=revoked\n')
        with open(self.path('crl.conf'), 'w', encoding='ascii') as f:
            f.write('[ca]\ndefault_ca = it\n[it]\ndatabase = index\ndefault_md = sha256\n'
                    'default_crl_days = 30\n')
        self.openssl('ca', '-gencrl', '-config', 'crl.conf', '-cert', 'ca.pem', '-keyfile', 'ca.key',
                     '-out', 'crl.pem')


# --- the vault ---


class Answer:
    """What a program said."""

    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return self.json['error']


PRINCIPALS = {
    'operator': '*',
    'reader': 'Vault.GetIdentity, Vault.FindSubject',
}


class Bed:
    """One vault. Sections of the configuration can be changed before start() by b.conf[section][key]."""

    def __init__(self, bin):
        self.bin = bin
        self.dir = tempfile.mkdtemp(prefix='pdvault-system-', dir=os.environ.get('TMPDIR', '/tmp'))
        self.keep = None		# a folder to look at afterwards
        self.pki = Pki(os.path.join(self.dir, 'certificates'))
        self.pki.server()
        for name in (*PRINCIPALS, 'stranger'):
            self.pki.client(name)
        self.process = None
        self.port = self.http = None
        self.lives = 0
        self.environment = {}
        self.expect_exit = None
        self.said = ''
        self.conf = {
            'vault': {'path': 'store', 'map_size': '256M', 'reserve': '1M'},
            'anchor': {'path': 'anchor'},
            'seal file': {'path': 'key'},
            'listen': {'urls': 'tls+tcp://127.0.0.1:0'},
            'tls': {'ca': 'certificates/ca.pem', 'cert': 'certificates/server.pem',
                    'key': 'certificates/server.key'},
            'metrics': {'address': '127.0.0.1:0'},
        }
        for name, methods in PRINCIPALS.items():
            self.conf[f'principal {name}'] = {'spiffe': f'spiffe://{DOMAIN}/{name}', 'methods': methods}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and kind is not Skipped:
            for line in self.log_text().split('\n')[-15:]:
                print(f'   log: {line}', file=sys.stderr)
        try:
            if self.process is not None:
                self.kill()
        finally:
            if self.keep is None:
                shutil.rmtree(self.dir, ignore_errors=True)
        return False

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write_conf(self):
        with open(self.path('conf'), 'w', encoding='ascii') as f:
            for section, keys in self.conf.items():
                f.write(f'[{section}]\n')
                for key, value in keys.items():
                    f.write(f'{key} = {value}\n')
        os.chmod(self.path('conf'), 0o600)

    def daemon(self, verb, *args):
        """Runs pdvaultd to its end: a verb that does not serve, or a run that is to fail. b.said is what it printed."""
        self.write_conf()
        self.lives += 1
        with open(self.log_path(self.lives), 'wb') as log:
            done = subprocess.run(self.command(verb, *args), stdin=subprocess.DEVNULL, stderr=log,
                                  stdout=subprocess.PIPE, timeout=PATIENCE, check=False,
                                  env={**os.environ, **self.environment})
        self.said = done.stdout.decode()
        return done.returncode

    def command(self, verb, *args):
        return [os.path.join(self.bin, 'pdvaultd'), verb, '--config', self.path('conf'),
                '--force-class-d', *args]

    def init(self):
        same(self.daemon('init'), 0, 'exit status of init')

    def spawn(self, *prefix):
        """Starts the server and does not wait for it to be ready."""
        need(self.process is None, 'it runs already')
        self.write_conf()
        self.lives += 1
        with open(self.log_path(self.lives), 'wb') as log:
            self.process = subprocess.Popen([*prefix, *self.command('run')], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log,
                                            env={**os.environ, **self.environment})

    def start(self, *prefix):
        self.spawn(*prefix)
        soon(lambda: self.ready() or self.process.poll() is not None, 'the server is ready')
        if self.process.poll() is not None:
            status, self.process = self.process.returncode, None
            raise Failed(f'the server ended with {status}')
        self.port = self.listens(lambda e: e.get('address', '').startswith('tls'))
        self.http = self.listens(lambda e: e.get('what') == 'http')

    def refuses(self, status, what=None):
        """A server that must not start: its exit status, and a text that the log must have."""
        same(self.daemon('run'), status, 'exit status of a server that must not start')
        if what is not None:
            need(what in self.log_text(self.lives), f'the log does not say "{what}"')

    def ready(self):
        return any(e.get('event') == 'ready' for e in self.events(self.lives))

    def listens(self, which):
        for e in self.events(self.lives):
            if e['event'] == 'listen' and which(e):
                return e['other']
        raise Failed('the log does not say where it listens')

    @property
    def url(self):
        return f'tls+tcp://127.0.0.1:{self.port}'

    def kill(self):
        """kill -9"""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def stop(self):
        """SIGTERM, and the exit status."""
        process, self.process = self.process, None
        process.terminate()
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed('it does not stop') from None

    def reload(self, expected='reload'):
        """SIGHUP, until the log tells of it."""
        before = self.count(expected)
        self.process.send_signal(signal.SIGHUP)
        soon(lambda: self.count(expected) > before, f'event {expected}')

    # The logs of all its lives.

    def log_path(self, life):
        return self.path(f'log.{life}')

    def log_text(self, life=None):
        lives = range(1, self.lives + 1) if life is None else [life]
        text = ''
        for n in lives:
            with contextlib.suppress(FileNotFoundError):
                with open(self.log_path(n), encoding='utf-8') as f:
                    text += f.read()
        return text

    def events(self, life=None):
        """Each line is a JSON object of ours; anything else is a sanitizer's, or a fault."""
        found = []
        for line in self.log_text(life).splitlines(keepends=True):
            if not line.endswith('\n'):
                break		# is being written
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError as e:
                raise Failed(f'not of the log: {line!r}') from e
        return found

    def count(self, event):
        return sum(e['event'] == event for e in self.events(self.lives))

    def quiet(self, *markers):
        """No line of any log holds one of these texts, or a subject or erasure id."""
        text = self.log_text()
        for m in markers:
            need(m.lower() not in text.lower(), 'the log holds personal data')
        need(re.search(r'(sub|era)_[a-z2-7]{26}', text) is None, 'the log holds an id')
        self.events()

    # Its clients.

    def settings(self, who='operator'):
        return {'PDVAULT_SERVER': self.url, 'PDVAULT_CA': self.pki.path('ca.pem'),
                'PDVAULT_CERT': self.pki.path(f'{who}.pem'), 'PDVAULT_KEY': self.pki.path(f'{who}.key'),
                'HOME': self.dir}

    def cli(self, *args, expect=0, who='operator', text=None, env=None):
        """Runs pdvault; its exit status must be the one expected (None: any)."""
        done = subprocess.run([os.path.join(self.bin, 'pdvault'), *args], input=text or '', text=True,
                              capture_output=True, timeout=PATIENCE, check=False,
                              env={**os.environ, **self.settings(who), **(env or {})})
        if expect is not None and done.returncode != expect:
            raise Failed(f'pdvault {args[0]} {args[1:2]} ended with {done.returncode} instead of {expect}:\n'
                         f'{done.stdout}{done.stderr}')
        return Answer(done)

    def cli_alone(self, *args, expect=0):
        """As cli(), of what needs no server."""
        done = subprocess.run([os.path.join(self.bin, 'pdvault'), *args], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode != expect:
            raise Failed(f'pdvault {args[0]} {args[1:2]} ended with {done.returncode} instead of {expect}:\n'
                         f'{done.stdout}{done.stderr}')
        return Answer(done)

    def create(self, identity, billing=None, **more):
        document = {'identity': identity}
        if billing is not None:
            document['billing'] = billing
        return self.cli('subject', 'create', '--input', '-', '--json', text=json.dumps(document),
                        **more).json['subject']

    def get(self, path):
        """One GET of the metrics port: status and body."""
        with socket.create_connection(('127.0.0.1', self.http), PATIENCE) as s:
            s.sendall(f'GET {path} HTTP/1.0\r\n\r\n'.encode())
            data = b''
            while chunk := s.recv(65536):
                data += chunk
        head, _, body = data.partition(b'\r\n\r\n')
        return int(head.split()[1]), body.decode()

    def metric(self, name):
        """The sum of a metric over its labels."""
        found = re.findall(rf'^{name}(?:\{{[^}}]*\}})? (\S+)$', self.get('/metrics')[1], re.M)
        need(found, f'no metric {name}')
        return sum(float(f) for f in found)

    def status(self):
        return self.cli('status', '--json').json


class Background:
    """A function called again and again in a thread until the end of the with block."""

    def __init__(self, function):
        self.function = function
        self.rounds = 0
        self.failure = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.turn, daemon=True)

    def turn(self):
        try:
            while not self.ending.is_set():
                self.function()
                self.rounds += 1
        except Exception as e:	# told at the end, in the test's own thread
            self.failure = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.thread.join(PATIENCE)
        if kind is None:
            need(not self.thread.is_alive(), 'the load does not end')
            if self.failure is not None:
                raise self.failure
        return False
