#!/usr/bin/python3 -B
"""F10: everything that went over the network, and afterwards everything that rests: the private keys of server, client
and authority, the key file, the anchor, all keys that live in the vault. Nothing decrypts. Each connection negotiated
TLS 1.3 with a key exchange of its own, without resumption, early data or tickets; no share of it belongs to a key
that rests; no text and no key stands in the traffic; and tshark, with the private keys, opens none of it.

The controls: with the secrets of the sessions, which one client wrote down, tshark shows the texts in the same
capture; with a server's private key it shows the text in another capture, of TLS 1.2 without a key exchange.
"""
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading

import lab
import marks
import reader
import relay
import wire
from lab import bed
from bed import held, main, need, same, say, step
from nacl.bindings import crypto_scalarmult_base

MARKS = ['Mårker Of Rooks', 'marker.of.rooks@rooks.example', '+47 555 010 4411', 'TAX-ROOK-5521', 'INV-ROOK-9']
HANDSHAKE, APPLICATION, CHANGE_CIPHER = 22, 23, 20
CLIENT_HELLO, SERVER_HELLO, TICKET = 1, 2, 4
PSK, EARLY_DATA, VERSIONS, PSK_MODES, KEY_SHARE = 41, 42, 43, 45, 51
WITHOUT_EXCHANGE = 0		# a mode of resumption
TLS13 = b'\3\4'
X25519 = 29
GROUPS = {23: 'P-256', 24: 'P-384', 25: 'P-521', X25519: 'X25519', 30: 'X448'}
RETRY = bytes.fromhex('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c')
PEOPLE = 4


# --- what is said ---


def requests(b):
    """With the tool, a connection each: create, read, update, erase; two people are left."""
    for i in range(PEOPLE):
        subject = b.create({'name': {'full': MARKS[0]}, 'emails': [f'{i}.{MARKS[1]}'], 'phones': [MARKS[2]]},
                           {'legal_name': MARKS[0], 'tax_id': MARKS[3]})
        b.cli('transaction', 'append', subject, '--input', '-', text=json.dumps({'transactions': [
            {'id': MARKS[4], 'time': '2024-01-01T00:00:00Z', 'currency': 'NOK', 'amount_minor': 1}]}))
        b.cli('subject', 'get', subject)
        b.cli('subject', 'find', '--email', '-', text=f'{i}.{MARKS[1]}')
        b.cli('subject', 'update', subject, '--input', '-', text=json.dumps({'identity': {'locale': 'no'}}))
        if i % 2:
            b.cli('subject', 'erase', subject, '--yes')


def noted(b, log):
    """The same with a client that writes down the secrets of its session. It gets no ticket."""
    with wire.Peer(b, keylog=log) as p:
        identity = wire.field(1, wire.field(1, MARKS[0])) + wire.field(2, MARKS[1])
        subject, = p.call('Vault.CreateSubject', wire.field(1, identity), mutates=True).values(1)
        need(MARKS[0].encode() in p.call('Vault.GetIdentity', wire.field(1, subject)).message, 'a read')
        same(p.call('Rights.EraseSubject', wire.field(1, subject), mutates=True).code, 'OK', 'an erasure')
        session = p.socket.session
        need(session is None or not session.has_ticket, 'F10: a session ticket')


# --- the handshakes ---


class Hello:
    """A ClientHello or ServerHello, from the body of its handshake message (RFC 8446, 4.1)."""

    def __init__(self, kind, body):
        self.random, at = body[2:34], 34
        at += 1 + body[at]			# session id
        if kind == CLIENT_HELLO:
            at += 2 + int.from_bytes(body[at:at + 2], 'big')
            at += 1 + body[at]
        else:
            at += 3
        self.extensions, end = {}, at + 2 + int.from_bytes(body[at:at + 2], 'big')
        at += 2
        while at < end:
            which, length = (int.from_bytes(body[at + n:at + n + 2], 'big') for n in (0, 2))
            self.extensions[which] = body[at + 4:at + 4 + length]
            at += 4 + length

    def shares(self, kind):
        """[(group, public key)]"""
        data, found = self.extensions[KEY_SHARE], []
        data = data[2:] if kind == CLIENT_HELLO else data
        while data:
            group, length = (int.from_bytes(data[n:n + 2], 'big') for n in (0, 2))
            found.append((group, data[4:4 + length]))
            data = data[4 + length:]
        return found


def hellos(who, data):
    """Of one direction: its hellos in the clear, and what kinds of records came."""
    kind, found, kinds = (CLIENT_HELLO, SERVER_HELLO)[who], [], []
    for what, body in relay.records(data):
        kinds.append(what)
        if what == HANDSHAKE:
            same(body[0], kind, 'F10: a handshake message in the clear that is no hello')
            found.append(Hello(kind, body[4:]))
    return found, kinds


def handshake(c):
    """Judges one connection; the shares of both sides."""
    asked, sent = hellos(relay.CLIENT, c.sent(relay.CLIENT))
    answered, got = hellos(relay.SERVER, c.sent(relay.SERVER))
    for hello in asked:
        need(not hello.extensions.keys() & {PSK, EARLY_DATA}, 'F10: a client resumes, or sends early data')
        need(WITHOUT_EXCHANGE not in hello.extensions.get(PSK_MODES, b'')[1:], 'F10: resumption without an exchange')
    for hello in answered:
        need(PSK not in hello.extensions, 'F10: a session was resumed')
        same(hello.extensions.get(VERSIONS), TLS13, 'F10: the version of TLS')
        need(KEY_SHARE in hello.extensions, 'F10: a server without a share of the key exchange')
    need(answered[-1].random != RETRY, 'a handshake that did not end')
    for kinds, hello in ((sent, asked), (got, answered)):
        first = [k for k in kinds if k != CHANGE_CIPHER]
        same(set(first[:len(hello)]), {HANDSHAKE}, 'F10: data before the hellos')
        same(set(first[len(hello):]), {APPLICATION}, 'F10: records that are not encrypted')
    chosen, = answered[-1].shares(SERVER_HELLO)
    need(chosen[0] in GROUPS, f'F10: group {chosen[0]}')
    offered = dict(asked[-1].shares(CLIENT_HELLO))
    return [chosen, (chosen[0], offered[chosen[0]])]


def handshakes(connections, resting):
    """No share comes twice, and none is made of a secret that rests."""
    shares = [s for c in connections for s in handshake(c)]
    publics = [p for _, p in shares]
    same(len(set(publics)), len(publics), 'F10: different shares of the key exchange')
    known = {crypto_scalarmult_base(k) for k in resting} | {crypto_scalarmult_base(k[::-1]) for k in resting}
    need(not known & set(publics), 'F10: a share of the key exchange belongs to a key that rests')
    groups = {GROUPS[g] for g, _ in shares}
    say(f'{len(connections)} handshakes, {len(publics)} different shares ({", ".join(groups)})')
    need(groups == {'X25519'}, 'another group: resting keys were not compared')


# --- tshark ---


def tshark(capture, *options):
    done = subprocess.run(['tshark', '-n', '-r', capture, '-d', f'tcp.port=={relay.PORT},tls', *options],
                          capture_output=True, text=True, check=False, timeout=bed.PATIENCE)
    need(done.returncode == 0, f'tshark: {done.stderr}')
    return done.stdout


def opened(capture, count, *options):
    """What tshark decrypts of the TLS connections in the capture."""
    found = b''
    follow = [x for i in range(count) for x in ('-z', f'follow,tls,raw,{i}')]
    for line in tshark(capture, '-q', *options, *follow).split('\n'):
        text = line.strip()
        if text and set(text) <= set('0123456789abcdef') and len(text) % 2 == 0:
            found += bytes.fromhex(text)
    return found


def rsa_server(b):
    """tshark takes private keys of RSA only: so the server has one."""
    def new_key(name):
        b.pki.openssl('genrsa', '-out', f'{name}.key', '2048')
        os.chmod(b.pki.path(f'{name}.key'), 0o600)
    b.pki.new_key, was = new_key, b.pki.new_key
    b.pki.server()
    b.pki.new_key = was


def private_keys(path):
    return '-o', f'uat:rsa_keys:"{path}",""'


def echoed(b, version, times, ciphers=None):
    """The controls' connections: to a server that is not ours, one after the other, resumed if that can be."""
    served, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    served.load_cert_chain(b.pki.path('server.pem'), b.pki.path('server.key'))
    client.load_verify_locations(b.pki.path('ca.pem'))
    for c in (served, client):
        c.minimum_version = c.maximum_version = version
        if ciphers is not None:
            c.set_ciphers(ciphers)
    with socket.create_server(('127.0.0.1', 0)) as listener, relay.Relay(listener.getsockname()[1]) as r:
        def serve():
            for _ in range(times):
                with served.wrap_socket(listener.accept()[0], server_side=True) as s:
                    s.sendall(s.recv(1000))
                    s.recv(1)
        thread, session = threading.Thread(target=serve, daemon=True), None
        thread.start()
        for _ in range(times):
            raw = socket.create_connection(('127.0.0.1', r.port), bed.PATIENCE)
            with client.wrap_socket(raw, server_hostname='localhost', session=session) as s:
                s.sendall(MARKS[0].encode())
                same(s.recv(1000), MARKS[0].encode(), 'the echo')
                session = s.session
        thread.join(bed.PATIENCE)
        return r.connections


def refused(c, what):
    """A control: a connection that must not pass."""
    try:
        handshake(c)
    except bed.Failed as e:
        need(what in str(e), f'control: {e}')
        return
    raise bed.Failed(f'control: not noticed: {what}')


def decrypting(b, connections, log):
    capture, count = b.path('capture.pcap'), len(connections)
    relay.write_capture(connections, capture)
    secrets = ('-o', f'tls.keylog_file:{log}')
    text = opened(capture, count, *secrets)
    need({i for i, _ in marks.found(text, MARKS[:2])} == {0, 1}, 'control: with the secrets of a session it opens')
    messages = tshark(capture, *secrets, '-T', 'fields', '-e', 'tls.handshake.type').replace('\n', ',').split(',')
    need('20' in messages, 'control: encrypted handshakes are seen')		# Finished
    need(str(TICKET) not in messages, 'F10: a session ticket')

    old, mine = echoed(b, ssl.TLSVersion.TLSv1_2, 1, 'AES128-GCM-SHA256'), private_keys(b.pki.path('server.key'))
    relay.write_capture(old, b.path('old.pcap'))
    need(MARKS[0].encode() in opened(b.path('old.pcap'), 1, *mine), 'control: the same key opens TLS 1.2')
    same(opened(capture, count, *mine), b'', 'F10: bytes that the server\'s key opens')
    refused(old[0], 'that is no hello')
    refused(echoed(b, ssl.TLSVersion.TLSv1_3, 2)[1], 'resumes')
    say(f'tshark opens {len(text)} bytes with the secrets of one session, none with the server\'s private key')


# --- what rests ---


def scalars(b):
    """The private keys of certificates on curves, as numbers of 32 bytes."""
    found = []
    for name in ('operator', 'reader', 'ca'):
        text = b.pki.openssl('ec', '-in', f'{name}.key', '-text', '-noout')
        digits = text.split('priv:')[1].split('pub:')[0]
        found.append(bytes.fromhex(''.join(digits.split()).replace(':', '')).rjust(32, b'\0')[-32:])
    return found


def in_the_open(b, traffic, vault, ours):
    """No text, no key that was ever made. One that this test puts at the end is found: the control."""
    need(not marks.found(traffic, [*MARKS, 'rooks.example']), 'F10: text in the traffic')
    with open(b.path('traffic'), 'wb') as f:
        f.write(traffic + vault.root)
    ids = {lab.key_id(k) for k in (*ours, vault.kek)} | {k for k, _ in b.registered()}
    found, windows = b.scan(ids, 'traffic')
    same(found, [('traffic', len(traffic), lab.key_id(vault.root))], 'F10: keys in the traffic')
    say(f'{len(traffic)} bytes: none of {len(ids)} keys in {windows} windows, and no text')


def run(bin):
    lab.check_build(bin)
    if shutil.which('tshark') is None:
        raise bed.Skipped('tshark is not here')
    with lab.Lab(bin) as b:
        rsa_server(b)
        b.init()
        b.start()
        log = b.path('sessions')
        step('F10: requests, recorded')
        with relay.Relay(b.port) as r:
            b.port = r.port
            requests(b)
            noted(b, log)
            same(b.stop(), 0, 'exit status')
            connections = [c for c in r.connections if c.pieces]
            traffic = r.traffic()
        need(len(connections) > PEOPLE * 4 and len(traffic) > 20000, 'hardly anything was recorded')
        vault = reader.read(b.dir)
        ours = scalars(b)
        step('F10: the handshakes')
        handshakes(connections, [*vault.live_keys(), *ours])
        step('F10: the traffic itself')
        in_the_open(b, traffic, vault, ours)
        step('F10: tshark with everything that rests')
        decrypting(b, connections, log)
        held(10, f'{len(connections)} connections, {len(traffic)} bytes; {len(vault.live_keys())} living keys and '
                 f'{len(ours)} private keys open nothing')
        b.quiet(MARKS[0], 'rooks')


main(run)
