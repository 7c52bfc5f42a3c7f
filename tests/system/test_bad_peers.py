#!/usr/bin/python3 -B
"""Peers that break the rules: without TLS, without a certificate, with a wrong one, with forged lengths,
silent, half-open, deaf; requests that break theirs; and somebody who poses as the vault. Each gets one
clear error, everybody else is served, nothing is lost, and the log holds no personal data.
"""
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

import bed
import wire
from bed import need, same, say, soon, step

MARK = 'Marker-Of-Kings'
LIMIT = 1 << 20		# bytes of an SP message


def served(b, subject):
    """A client of good will, and the data of before."""
    with wire.Peer(b) as p:
        answer = p.call('Vault.GetIdentity', wire.field(1, wire.subject_id(subject)))
        need(answer.code == 'OK' and MARK.encode() in answer.message, f'the good client: {answer}')


def refused_at_tls(b, what, who, **tls):
    """The handshake fails, or the first read after it (TLS 1.3 tells a client that late)."""
    try:
        with wire.Peer(b, who, **tls) as p:
            p.call('Health.Check')
    except OSError:		# ssl.SSLError is one
        return
    raise bed.Failed(f'{what} is served')


def plain(b):
    for data in (os.urandom(4096), b'GET / HTTP/1.0\r\n\r\n', wire.GREETING + bytes(64),
                 b'\x16\x03\x01\xff\xff' + bytes(512)):
        with socket.create_connection(('127.0.0.1', b.port), wire.SECONDS) as s:
            s.settimeout(wire.SECONDS)
            s.sendall(data)
            try:
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass		# a TimeoutError is one of ours to fail by


def certificates(b):
    pki = b.pki
    pki.authority('foreign')
    pki.client('outsider', 'operator', ca='foreign')
    pki.issue('nameless', 'clientAuth', 'DNS:localhost')
    pki.issue('twofold', 'clientAuth', f'URI:spiffe://{bed.DOMAIN}/operator, URI:spiffe://{bed.DOMAIN}/reader')
    refused_at_tls(b, 'no certificate', None)
    refused_at_tls(b, 'a foreign certificate', 'outsider')
    refused_at_tls(b, 'a certificate of a server', 'server')
    refused_at_tls(b, 'a certificate without a name', 'nameless')
    refused_at_tls(b, 'a certificate with two names', 'twofold')


def old_tls(b):
    two = ssl.TLSVersion.TLSv1_2
    refused_at_tls(b, 'TLS 1.2', 'operator', versions=(two, two))
    done = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{b.port}', '-tls1_2',
                           '-cert', b.pki.path('operator.pem'), '-key', b.pki.path('operator.key')],
                          input='', capture_output=True, text=True, timeout=bed.PATIENCE, check=False)
    need(done.returncode != 0 and 'protocol version' in done.stderr, 'TLS 1.2 by the openssl tool')


def strange_sp(b):
    for greeting in (b'\0SP\0\0\x20\0\0', b'\0XX\0\0\x30\0\0', os.urandom(8)):
        with wire.Peer(b, greet=False) as p:
            p.socket.sendall(greeting)
            try:
                p.socket.sendall(struct.pack('>QI', 8, 0x80000001) + bytes(4))
            except OSError:
                pass
            need(p.ended(), 'a connection that does not begin as SP stays')


def forged_lengths(b):
    for length in (0xffffffffffffffe0, 0xfffffffffffffff0, 1 << 63, 1 << 32, LIMIT + 1):
        with wire.Peer(b) as p:
            p.socket.sendall(struct.pack('>Q', length))
            try:
                p.socket.sendall(bytes(64))
            except OSError:
                pass
            need(p.ended(), f'a message of {length:#x} bytes is awaited')
    with wire.Peer(b) as p:		# the greatest allowed is answered
        need(p.ask(os.urandom(LIMIT - 4)).code == 'INVALID_ARGUMENT', 'the greatest message')
    # Without room for the request's id, without its end mark, and with far too many hops.
    for body in (b'', b'\0', b'\x80\0\0', b'\0\0\0\1' * 2000):
        with wire.Peer(b) as p:
            p.socket.sendall(struct.pack('>Q', len(body)) + body)


def silent(b):
    """Those that say nothing, or stop half-way, are closed; meanwhile others are served."""
    began = time.monotonic()
    raw = [socket.create_connection(('127.0.0.1', b.port), wire.SECONDS) for _ in range(40)]
    for i, s in enumerate(raw):
        if i % 2:
            s.sendall(b'\x16\x03\x01\x02\x00\x01\x00')		# the beginning of a ClientHello
    mute = [wire.Peer(b, greet=False) for _ in range(10)]
    need(wire.works(b), 'served beside silent peers')
    for s in raw:
        s.settimeout(wire.SECONDS)
        try:
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
        s.close()
    for p in mute:
        need(p.ended(), 'a peer without a greeting stays')
        p.close()
    say(f'closed after {time.monotonic() - began:.1f} s')
    with wire.Peer(b) as p:
        p.socket.sendall(struct.pack('>Q', 1000) + b'\x80')	# half a message, and then nothing
        need(p.ended(), 'half a message is awaited for ever')


def deaf(b):
    """One who asks and never reads is closed, and takes nothing from others."""
    with wire.Peer(b) as p:
        p.socket.settimeout(2)
        body = wire.request('Admin.GetStatus')
        burst = b''.join(struct.pack('>QI', len(body) + 4, 0x80000001 + i) + body for i in range(500))
        closed = False
        for _ in range(2000):
            try:
                p.socket.sendall(burst)
            except TimeoutError:
                break
            except OSError:
                closed = True
                break
        with wire.Peer(b, 'reader') as other:
            same(other.call('Vault.FindSubject', wire.field(3, 'nobody')).code, 'NOT_FOUND', 'another')
        need(closed or p.ended(), 'a deaf client stays')


def create_message(name, **more):
    identity = wire.field(1, wire.field(1, name))
    for number, text in more.get('fields', ()):
        identity += wire.field(number, text)
    return wire.field(1, identity)


def requests(b, subject):
    raw = wire.subject_id(subject)

    def expect(answer, code, reason, what):
        same((answer.code, answer.reason), (code, reason), what)
        need(MARK not in answer.detail, f'{what}: the answer tells personal data')
    with wire.Peer(b) as p:
        expect(p.call('Vault.Nothing'), 'UNIMPLEMENTED', 'UNKNOWN_METHOD', 'unknown method')
        expect(p.call('Rights.GetIdentity'), 'UNIMPLEMENTED', 'UNKNOWN_METHOD', 'a method elsewhere')
        expect(p.ask(wire.field(1, 'x' * 200)), 'INVALID_ARGUMENT', 'MALFORMED_MESSAGE', 'a long name')
        for body in (os.urandom(300), b'\xff' * 64, wire.field(1, b'\xff\xfe'), b'\x0a\xff\xff\xff\xff\x0f'):
            expect(p.ask(body), 'INVALID_ARGUMENT', 'MALFORMED_MESSAGE', 'garbage')
        deep = b''
        for _ in range(8000):
            deep = wire.field(15, deep)
        answer = p.call('Vault.GetIdentity', wire.field(1, raw) + deep)
        need(answer.code in ('OK', 'INVALID_ARGUMENT'), f'deeply nested: {answer}')
        many = b''.join(wire.field(100 + i, 1) for i in range(40))
        need(p.call('Vault.GetIdentity', wire.field(1, raw) + many).code == 'INVALID_ARGUMENT',
             'many unknown fields')
        # What would be unpacked into many times its size.
        swollen = wire.field(1, wire.field(8, b'') * 200000)
        answer = p.call('Vault.CreateSubject', swollen, mutates=True)
        need(answer.code in ('INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED'), f'swollen: {answer}')
        for text in ('a\0b', 'a\x07b', 'a\x7fb'):
            expect(p.call('Vault.CreateSubject', create_message(MARK + text), mutates=True),
                   'INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'control characters')
        answer = p.call('Vault.CreateSubject', wire.field(1, wire.field(2, b'\xff\xfe')), mutates=True)
        same(answer.code, 'INVALID_ARGUMENT', 'not UTF-8')
        answer = p.call('Vault.CreateSubject', create_message('x' * 257), mutates=True)
        same(answer.violations, [{1: 'identity.name.full', 2: 'TOO_LONG'}], 'too long')
        same(p.call('Vault.CreateSubject', create_message('x' * 256), mutates=True).code, 'OK', 'as long')
        expect(p.call('Vault.GetIdentity', wire.field(1, raw[:15])), 'INVALID_ARGUMENT',
               'INVALID_ARGUMENT', 'a short id')
        expect(p.call('Vault.GetIdentity', wire.field(1, raw[:2] + bytes(14))), 'NOT_FOUND',
               'SUBJECT_NOT_FOUND', 'an id that never was')
        expect(p.call('Vault.GetIdentity', wire.field(1, b'\xff\xff' + raw[2:])), 'NOT_FOUND',
               'SUBJECT_OF_ANOTHER_VAULT', 'an id of another vault')
        repeated(p, raw, expect)
    with wire.Peer(b, 'stranger') as p:
        expect(p.call('Health.Check'), 'PERMISSION_DENIED', 'UNKNOWN_PRINCIPAL', 'a stranger')
    with wire.Peer(b, 'reader') as p:
        expect(p.call('Rights.EraseSubject', wire.field(1, raw), mutates=True), 'PERMISSION_DENIED',
               'METHOD_NOT_ALLOWED', 'a reader who erases')
        same(p.call('Vault.GetIdentity', wire.field(1, raw)).code, 'OK', 'a reader who reads')


def repeated(p, raw, expect):
    """Idempotency keys and etags."""
    key = os.urandom(16)
    change = wire.field(1, raw) + wire.field(2, wire.field(4, 'de'))
    expect(p.call('Vault.UpdateIdentity', change), 'INVALID_ARGUMENT', 'IDEMPOTENCY_KEY_REQUIRED', 'no key')
    expect(p.call('Vault.UpdateIdentity', change, key=b'short'), 'INVALID_ARGUMENT',
           'IDEMPOTENCY_KEY_REQUIRED', 'a short key')
    first = p.call('Vault.UpdateIdentity', change, key=key)
    same(first.code, 'OK', 'an update')
    same(p.call('Vault.UpdateIdentity', change, key=key).values(1), first.values(1), 'the same again')
    other = wire.field(1, raw) + wire.field(2, wire.field(4, 'fr'))
    expect(p.call('Vault.UpdateIdentity', other, key=key), 'INVALID_ARGUMENT', 'IDEMPOTENCY_KEY_REUSED',
           'the key of another request')
    expect(p.call('Rights.EraseSubject', wire.field(1, raw), key=key), 'INVALID_ARGUMENT',
           'IDEMPOTENCY_KEY_REUSED', 'the key of another method')
    expect(p.call('Vault.UpdateIdentity', other + wire.field(4, '77'), mutates=True), 'ABORTED',
           'ETAG_MISMATCH', 'a stale etag')
    got = dict(wire.fields(p.call('Vault.GetIdentity', wire.field(1, raw)).message))
    same(dict(wire.fields(got[1]))[4], b'de', 'what was refused is not done')


def deadlines(b):
    """What is expired is not executed: behind a crowd of writes, with a millisecond to live."""
    expired = 0
    for turn in range(40):
        with wire.Peer(b) as p:
            for i in range(100):
                p.send(wire.request('Vault.CreateSubject', create_message(f'c{turn}-{i}'), os.urandom(16)))
            hurried = {p.send(wire.request('Vault.CreateSubject', create_message('h', fields=[
                (7, f'hurry-{turn}-{i}')]), os.urandom(16), 1)): f'hurry-{turn}-{i}' for i in range(20)}
            answers = dict(p.receive() for _ in range(120))
            for number, account in hurried.items():
                there = p.call('Vault.FindSubject', wire.field(3, account)).code
                answer = answers[number]
                need((answer.code, there) in (('OK', 'OK'), ('DEADLINE_EXCEEDED', 'NOT_FOUND')),
                     f'a hurried request: {answer}, then found: {there}')
                expired += answer.code == 'DEADLINE_EXCEEDED'
        if expired > 0:
            break
    need(expired > 0, 'nothing ever expires')
    say(f'{expired} expired')


class Impostor:
    """A TLS server with somebody's certificate: what do clients tell it?"""

    def __init__(self, b, who, version=None, ca='ca'):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(b.pki.path(f'{who}.pem'), b.pki.path(f'{who}.key'))
        self.context.load_verify_locations(b.pki.path(f'{ca}.pem'))
        self.context.verify_mode = ssl.CERT_OPTIONAL
        if version is not None:
            self.context.maximum_version = version
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.listener.settimeout(0.2)
        self.port = self.listener.getsockname()[1]
        self.handshakes, self.told = 0, b''
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.turn, daemon=True)
        self.thread.start()

    def turn(self):
        while not self.ending.is_set():
            try:
                raw, _ = self.listener.accept()
            except TimeoutError:
                continue
            raw.settimeout(1)
            try:
                with self.context.wrap_socket(raw, server_side=True) as s:
                    self.handshakes += 1
                    s.sendall(wire.ANSWERED)
                    while chunk := s.recv(4096):
                        self.told += chunk
            except OSError:
                pass
            finally:
                raw.close()

    def close(self):
        self.ending.set()
        self.thread.join()
        self.listener.close()


def posing(b):
    """Only the vault's own certificate makes a client speak."""
    b.pki.issue('elsewhere', 'serverAuth', f'DNS:elsewhere.example, URI:spiffe://{bed.DOMAIN}/vault')
    b.pki.server('fake', ca='foreign')
    cases = [('reader', None, False), ('elsewhere', None, False), ('fake', None, False),
             ('server', ssl.TLSVersion.TLSv1_2, False), ('server', None, True)]
    for who, version, speaks in cases:
        imp = Impostor(b, who, version)
        try:
            answer = b.cli('subject', 'find', '--email', '-', '--json', '--timeout', '2s', text='a@b.example',
                           expect=6, env={'PDVAULT_SERVER': f'tls+tcp://127.0.0.1:{imp.port}'})
            need(answer.error['code'] in ('UNAVAILABLE', 'DEADLINE_EXCEEDED'), f'{who}: {answer.out}')
        finally:
            imp.close()
        same(bool(imp.told), speaks, f'what {who} was told')
        same(imp.handshakes > 0, speaks, f'handshakes with {who}')


def crowd(b):
    """More connections than are allowed: those beyond are closed, those within go on."""
    peers, refused = [], 0
    try:
        for _ in range(40):
            try:
                p = wire.Peer(b, 'reader')
                p.call('Vault.FindSubject', wire.field(3, 'nobody'))
                peers.append(p)
            except OSError:
                refused += 1
        need(refused > 0 and len(peers) >= 20, f'{len(peers)} of 40 came in')
        same(peers[0].call('Vault.FindSubject', wire.field(3, 'nobody')).code, 'NOT_FOUND', 'one within')
        need(wire.works(b), 'another principal')
    finally:
        for p in peers:
            p.close()
    soon(lambda: wire.works(b), 'served after the crowd')


def run(bin):
    with bed.Bed(bin) as b:
        b.conf['limits'] = {'handshake_timeout': '1s', 'idle_timeout': '3s', 'send_timeout': '1s',
                            'connections_per_principal': '25'}
        b.init()
        b.start()
        subject = b.create({'name': {'full': MARK}, 'emails': ['marker@kings.example']})
        for name, test in (('plain text and garbage', plain), ('certificates', certificates),
                           ('TLS 1.2', old_tls), ('not SP', strange_sp), ('forged lengths', forged_lengths),
                           ('silent and half-open', silent), ('a crowd', crowd), ('deadlines', deadlines),
                           ('somebody poses as the vault', posing), ('deaf', deaf)):
            step(name)
            test(b)
            served(b, subject)
        step('requests that break the rules')
        requests(b, subject)
        served(b, subject)
        same(b.cli('health', '--timeout', '1ms', '--json', expect=None).status, 6, 'no time for the tool')
        b.cli('subject', 'get', 'sub_x', expect=8)
        b.cli('health', expect=5, who='stranger')
        soon(lambda: b.metric('pdvault_connections') <= 2, 'all of them are gone')
        same(b.metric('pdvault_integrity_errors_total'), 0, 'integrity errors')
        same(b.stop(), 0, 'exit status')
        b.start()
        served(b, subject)
        same(b.stop(), 0, 'exit status')
        b.quiet(MARK, 'marker@', 'hurry-')


bed.main(run)
