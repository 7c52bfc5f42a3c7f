#!/usr/bin/python3 -B
"""F5: how long a text stays in the server's memory after its answer has arrived, measured by images, the process stopped for
each: at rest, and while other requests keep it busy. docs/THREATS.md has the figures (ROUNDS=20). What never goes
fails the test, however long the rest takes. Half a request is there as long as its connection is: the control.
"""
import contextlib
import os
import socket
import time

import lab
import memory
import refusals
import wire
from bed import Background, held, main, need, same, say, soon, step

ROUNDS = int(os.environ.get('ROUNDS', '1'))	# 20 for figures
CUT = 40		# connections that end before their answers
BODY = {'attributes': b''.join(wire.field(8, wire.field(1, f'f{n}') + wire.field(2, 'v' * 900)) for n in range(8))}


class Subject:
    def __init__(self, b, **more):
        self.texts = refusals.Texts()
        with wire.Peer(b) as p:
            a = p.call('Vault.CreateSubject', self.texts.create(**more), mutates=True)
        same(a.code, 'OK', f'create: {a}')
        self.id = a.values(1)[0]


def reading(b, s, peer):
    same(peer.call('Vault.GetIdentity', wire.field(1, s.id)).code, 'OK', 'read')


def finding(b, s, peer):
    same(peer.call('Vault.FindSubject', wire.field(1, s.texts.email)).code, 'OK', 'find')


def writing(b, s, peer):
    same(peer.call('Vault.UpdateIdentity', s.texts.update(s.id), mutates=True).code, 'OK', 'update')


def refused(b, s, peer):
    same(peer.call('Vault.UpdateIdentity', s.texts.update(s.id, etag='999'), mutates=True).code, 'ABORTED', 'update')


def many(b, s, peer):
    """Many answers at once; what is measured begins when the last has arrived."""
    for _ in range(40):
        peer.send(wire.request('Vault.GetIdentity', wire.field(1, s.id)))
    for _ in range(40):
        same(peer.receive()[1].code, 'OK', 'read')


def half_sent(b, s, peer):
    """A request of which half came, and the connection ended."""
    with wire.Peer(b) as p:
        half(p, s.texts)


def half(peer, texts):
    whole = wire.request('Vault.CreateSubject', texts.create(), os.urandom(16))
    peer.socket.sendall((len(whole) + 4).to_bytes(8, 'big') + b'\x80\0\0\1' + whole[:-20])


def unread(b, s, peer):
    """Answers whose connection ends, by a reset, while they are on their way."""
    for n in range(CUT):
        p = wire.Peer(b)
        for _ in range(6):
            p.send(wire.request('Vault.GetIdentity', wire.field(1, s.id)))
        time.sleep(n % 8 * 0.0002)
        with contextlib.suppress(OSError):
            p.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        p.close()


DEEDS = {'read': reading, 'found by an email': finding, 'written': writing, 'refused': refused,
         'forty reads': many, 'half a request': half_sent, 'unread answers': unread}


def measure(b, name, deed):
    """(seconds, places): when one was last seen after the answer, the longest of some rounds."""
    longest, where = 0.0, set()
    for n in range(min(ROUNDS, 4) if deed is unread else ROUNDS):
        s = Subject(b, **(BODY if n % 2 else {}))
        texts = [s.texts.name, s.texts.email, s.texts.account]
        memory.gone(lambda texts=texts: memory.Image(b.process.pid).found(texts, False))		# of the creation
        with wire.Peer(b) as peer:
            deed(b, s, peer)
            at, places = memory.lifetime(b.process.pid, texts)
        where |= places
        longest = max(longest, at or 0.0)
    return longest, where


def busy(b, other):
    """A thread's worth of reads and writes of others."""
    def some():
        with wire.Peer(b) as p:
            for n in range(60):
                p.send(wire.request('Vault.GetIdentity', wire.field(1, other.id)))
            for n in range(60):
                need(p.receive()[1].code in ('OK', 'RESOURCE_EXHAUSTED'), 'the load')
            p.call('Vault.UpdateIdentity', wire.field(1, other.id) + wire.field(2, wire.field(4, 'de')), mutates=True)
    return Background(some)


def table(b, state):
    for name, deed in DEEDS.items():
        seconds, where = measure(b, name, deed)
        say(f'{state:8} {name:20} ' + (f'{seconds * 1000:4.0f} ms in {", ".join(sorted(where))}' if where else
                                       'gone at the first image'))


def control(b):
    t = refusals.Texts()
    with wire.Peer(b) as p:
        half(p, t)
        places = soon(lambda: memory.Image(b.process.pid).found([t.name], False), 'half a request is there')
        time.sleep(1)
        need(memory.Image(b.process.pid).found([t.name], False), 'half a request is gone before its connection')
        say(f'half a request, the connection open: in {", ".join(places)}')
    memory.gone(lambda: memory.Image(b.process.pid).found(t.all()))


def run(bin):
    lab.check_build(bin)
    with lab.Lab(bin) as b:
        b.init()
        b.start()
        other = Subject(b)
        control(b)
        step('at rest')
        table(b, 'at rest')
        step('busy')
        with busy(b, other) as load:
            table(b, 'busy')
            need(load.rounds > 0, 'there was no load')
        held(5, f'texts are gone from memory soon after each of {len(DEEDS)} kinds of requests, at rest and busy')


main(run)
