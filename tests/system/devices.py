"""Devices for seals, in software and in the test's own folder: tokens of SoftHSM, and a TPM of swtpm on two ports of
the loopback, with which the test can speak itself.
"""
import contextlib
import os
import secrets
import shutil
import socket
import struct
import subprocess

from bed import Failed, need, soon

SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so'
FIRST, LAST = 0x01800000, 0x01800100	# indices of counters: server/keys/tpm.h
OWNER, LOCKOUT, PASSWORD = 0x40000001, 0x4000000a, 0x40000009
NO_SESSIONS, SESSIONS = 0x8001, 0x8002
CAP_HANDLES, SHA256 = 1, 0x000b
GET_CAPABILITY, NV_DEFINE, NV_UNDEFINE, NV_WRITE, NV_READ, DA_PARAMETERS, DA_RESET = (
    0x17a, 0x12a, 0x122, 0x137, 0x14e, 0x13a, 0x139)
LOCKED_OUT, RETRY = 0x921, 0x922
ORDINARY = 0x01500000	# any index that is not one of ours
OWNER_WRITES_PASSWORD_READS = 0x00040002	# TPMA_NV AUTHREAD | OWNERWRITE: tries to read it count


class Tokens:
    """The tokens of one SOFTHSM2_CONF; the server of this bed sees them too."""

    def __init__(self, b):
        self.b, self.folder = b, b.path('tokens')
        os.mkdir(self.folder, 0o700)
        with open(b.path('softhsm2.conf'), 'w', encoding='ascii') as f:
            f.write(f'directories.tokendir = {self.folder}\nobjectstore.backend = file\nlog.level = ERROR\n'
                    'slots.removable = false\n')
        b.environment['SOFTHSM2_CONF'] = b.path('softhsm2.conf')
        self.folders = {}

    def run(self, *args):
        done = subprocess.run(args, capture_output=True, text=True, check=False,
                              env={**os.environ, 'SOFTHSM2_CONF': self.b.path('softhsm2.conf')})
        need(done.returncode == 0, f'{args[0]}: {done.stdout}{done.stderr}')
        return done.stdout

    def make(self, label):
        """A new token and its PIN."""
        pin = secrets.token_hex(40)	# long, so that memory used again leaves a piece
        there = set(os.listdir(self.folder))
        self.run('softhsm2-util', '--init-token', '--free', '--label', label, '--so-pin', secrets.token_hex(8),
                 '--pin', pin)
        self.folders[label], = set(os.listdir(self.folder)) - there
        return pin

    def objects(self, label):
        """Files of objects in the token's own store, whatever it says of them."""
        return [n for n in os.listdir(os.path.join(self.folder, self.folders[label]))
                if n.endswith('.object') and n != 'token.object']

    @contextlib.contextmanager
    def away(self, label):
        """The token is not there."""
        at = os.path.join(self.folder, self.folders[label])
        os.rename(at, self.b.path('away.' + label))
        try:
            yield
        finally:
            os.rename(self.b.path('away.' + label), at)


class Tpm:
    """swtpm; start() with the state that it had, as a TPM after a reset."""

    def __init__(self, b):
        self.b, self.state = b, b.path('tpm')
        os.mkdir(self.state, 0o700)
        self.process, self.port = None, 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end()

    @property
    def tcti(self):
        return f'swtpm:host=127.0.0.1,port={self.port}'

    def start(self):
        """The same port again once it has one; another where somebody was faster."""
        for _ in range(20):
            port = self.port or free_pair()
            command = ['swtpm', 'socket', '--tpm2', '--tpmstate', f'dir={self.state}',
                       '--server', f'type=tcp,bindaddr=127.0.0.1,port={port},disconnect',
                       '--ctrl', f'type=tcp,bindaddr=127.0.0.1,port={port + 1}',
                       '--flags', 'not-need-init,startup-clear']
            with open(self.b.path('tpm.log'), 'ab') as log:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            soon(lambda p=port: answers(p) or self.process.poll() is not None, 'the TPM is there')
            if self.process.poll() is None:
                self.port = port
                return
            need(not self.port, 'the port of the TPM is taken')
        raise Failed('the TPM does not start')

    def end(self):
        """As if it were pulled out."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def keep(self, name):
        """A copy of all that it has; back() puts it back."""
        shutil.copytree(self.state, self.b.path(name))

    def back(self, name):
        self.end()
        shutil.rmtree(self.state)
        shutil.copytree(self.b.path(name), self.state)
        self.start()

    # Commands of part 3 of the TPM's specification.

    def ask(self, code, handles=(), parameters=b'', password=None):
        """(code of the answer, what stands behind it); password: of the one handle that wants one."""
        body = b''.join(struct.pack('>I', h) for h in handles)
        if password is not None:
            auth = struct.pack('>IHBH', PASSWORD, 0, 0, len(password)) + password
            body += struct.pack('>I', len(auth)) + auth
        body += parameters
        tag = NO_SESSIONS if password is None else SESSIONS
        with socket.create_connection(('127.0.0.1', self.port), 20) as s:
            s.sendall(struct.pack('>HII', tag, 10 + len(body), code) + body)
            answer = receive(s, 10)
            _, length, result = struct.unpack('>HII', answer)
            return result, receive(s, length - 10)

    def do(self, *args, **more):
        result, answer = self.ask(*args, **more)
        need(result == 0, f'the TPM says {result:#x}')
        return answer

    def counters(self):
        """Indices that lie where the server makes its counters."""
        answer = self.do(GET_CAPABILITY, parameters=struct.pack('>III', CAP_HANDLES, FIRST, 254))
        count, = struct.unpack('>I', answer[5:9])
        return [h for h in struct.unpack(f'>{count}I', answer[9:]) if FIRST <= h < LAST]

    def lock_out(self):
        """One password too many that is wrong; after it everything that counts tries is refused."""
        self.do(DA_PARAMETERS, (LOCKOUT,), struct.pack('>III', 1, 10000, 10000), password=b'')
        public = struct.pack('>IHIHH', ORDINARY, SHA256, OWNER_WRITES_PASSWORD_READS, 0, 8)
        self.do(NV_DEFINE, (OWNER,), struct.pack('>H', 4) + b'word' + struct.pack('>H', len(public)) + public,
                password=b'')
        self.do(NV_WRITE, (OWNER, ORDINARY), struct.pack('>H', 8) + bytes(8) + struct.pack('>H', 0), password=b'')
        read = (NV_READ, (ORDINARY, ORDINARY), struct.pack('>HH', 8, 0))
        while (code := self.ask(*read, password=b'bad')[0]) == RETRY:	# it notes first that somebody tries
            pass
        need(code != 0, 'the TPM takes a wrong password')
        code = self.ask(*read, password=b'word')[0]
        need(code == LOCKED_OUT, f'the TPM is not locked out: {code:#x}')

    def unlock(self):
        self.do(DA_RESET, (LOCKOUT,), password=b'')
        self.do(NV_UNDEFINE, (OWNER, ORDINARY), password=b'')


def receive(s, length):
    data = b''
    while len(data) < length:
        more = s.recv(length - len(data))
        need(more, 'the TPM is gone in the middle of an answer')
        data += more
    return data


def free_pair():
    """A port that is free and whose neighbour is."""
    while True:
        with socket.socket() as a, socket.socket() as b:
            a.bind(('127.0.0.1', 0))
            port = a.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                b.bind(('127.0.0.1', port + 1))
                return port


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
        return True
    return False
