"""Requests that end badly, each kind with texts of its own, so that what is left over tells of what.

KINDS: name -> function(bench, texts); each checks that the request ended as it was to.
"""
import contextlib
import os
import random
import string

import wire
from bed import need, same

chance = random.SystemRandom()
IN_FLIGHT = 64		# on one connection, as the vault is configured


class Texts:
    """What one kind of request tells, all of it random: nothing of it may be left."""

    def __init__(self):
        self.name = ''.join(chance.choices(string.ascii_letters, k=72))
        self.email = ''.join(chance.choices(string.ascii_lowercase, k=40)) + '@kestrels.example'
        self.account = ''.join(chance.choices(string.ascii_letters + string.digits, k=48))
        self.phone = '+49' + ''.join(chance.choices(string.digits, k=11))

    def all(self):
        """As they were given, and as look-ups are normalised."""
        return [self.name, self.email, self.email.upper(), self.account, self.phone, self.phone[1:]]

    def main(self):
        return [self.name, self.email]

    def identity(self, **more):
        """In protobuf's form."""
        parts = {'name': wire.field(1, wire.field(1, self.name)), 'emails': wire.field(2, self.email),
                 'phones': wire.field(3, self.phone), 'account_ids': wire.field(7, self.account),
                 'attributes': wire.field(8, wire.field(1, 'note') + wire.field(2, self.name))}
        return b''.join({**parts, **more}.values())

    def create(self, **more):
        return wire.field(1, self.identity(**more))

    def update(self, subject, etag='', **more):
        more = {'emails': b'', 'phones': b'', 'account_ids': b'', **more}
        return wire.field(1, subject) + wire.field(2, self.identity(**more)) + wire.field(4, etag)


def told(b, method, message, code, reason=None, who='operator', **more):
    with wire.Peer(b, who) as p:
        a = p.call(method, message, key=os.urandom(16), **more)
    same(a.code, code, f'{method}: {a}')
    need(reason is None or a.reason == reason, f'{method}: {a} instead of {reason}')


def invalid_field(b, t):
    for bad in ({'locale': wire.field(4, t.account)}, {'emails': wire.field(2, t.name)},
                {'phones': wire.field(3, t.email)}, {'birth': wire.field(5, t.account)}):
        told(b, 'Vault.CreateSubject', t.create(**bad), 'INVALID_ARGUMENT')


def unknown_method(b, t):
    told(b, f'Vault.{t.account}', t.create(), 'UNIMPLEMENTED')
    told(b, 'Vault.NoSuch', t.create(), 'UNIMPLEMENTED')


def malformed(b, t):
    told(b, 'Vault.CreateSubject', t.create() + b'\xff', 'INVALID_ARGUMENT')
    with wire.Peer(b) as p:
        need(p.ask(wire.request('Vault.CreateSubject', t.create(), os.urandom(16))[:-30]).code != 'OK', 'it is OK')


def denied(b, t):
    told(b, 'Vault.CreateSubject', t.create(), 'PERMISSION_DENIED', who='reader')


def expired(b, t):
    """Some of a burst with a deadline of a millisecond; none of them would change anything."""
    stale = wire.request('Vault.UpdateIdentity', t.update(b.somebody, etag='999'), timeout_ms=1)
    slow = wire.request('Vault.UpdateIdentity', wire.field(1, b.somebody) + wire.field(2, wire.field(4, 'de')))

    def some():
        with wire.Peer(b) as p:
            for n in range(IN_FLIGHT - 4):
                p.send((stale if n % 4 else slow) + wire.field(4, os.urandom(16)))
            return {p.receive()[1].code for _ in range(IN_FLIGHT - 4)}
    b.soon(lambda: 'DEADLINE_EXCEEDED' in some(), 'a deadline passes')


def etag(b, t):
    told(b, 'Vault.UpdateIdentity', t.update(b.somebody, etag='999'), 'ABORTED')
    told(b, 'Vault.UpdateIdentity', t.update(b.somebody, etag='999', emails=wire.field(2, t.email)), 'ABORTED')


def look_up_taken(b, t):
    told(b, 'Vault.CreateSubject', t.create(taken=wire.field(2, b.email)), 'ALREADY_EXISTS', 'LOOKUP_TAKEN')
    told(b, 'Vault.UpdateIdentity', t.update(b.somebody, account_ids=wire.field(7, t.account),
                                             taken=wire.field(2, b.other_email)), 'ALREADY_EXISTS')


def not_found(b, t):
    for number, text in ((1, t.email), (2, t.phone), (3, t.account)):
        told(b, 'Vault.FindSubject', wire.field(number, text), 'NOT_FOUND')
    told(b, 'Vault.UpdateIdentity', t.update(b.nobody), 'NOT_FOUND')


def key_reused(b, t):
    key = os.urandom(16)
    with wire.Peer(b) as p:
        same(p.call('Vault.UpdateIdentity', wire.field(1, b.somebody) + wire.field(2, wire.field(4, 'fr')),
                    key=key).code, 'OK', 'the first')
        for method, message in (('Vault.UpdateIdentity', t.update(b.somebody)), ('Vault.CreateSubject', t.create())):
            a = p.call(method, message, key=key)
            same(a.reason, 'IDEMPOTENCY_KEY_REUSED', f'{method}: {a}')


def key_missing(b, t):
    with wire.Peer(b) as p:
        same(p.call('Vault.CreateSubject', t.create()).reason, 'IDEMPOTENCY_KEY_REQUIRED', 'without a key')


def too_many(b, t):
    """More at once than a connection may have; the server may also take it for one that does not read."""
    stale = wire.request('Vault.UpdateIdentity', t.update(b.somebody, etag='999'))

    def some():
        seen = set()
        with wire.Peer(b) as p, contextlib.suppress(OSError):
            for _ in range(2 * IN_FLIGHT):
                p.send(stale + wire.field(4, os.urandom(16)))
            for _ in range(2 * IN_FLIGHT):
                seen.add(p.receive()[1].reason)
        return seen
    b.soon(lambda: 'TOO_MANY_IN_FLIGHT' in some(), 'too many are refused')


def too_large(b, t):
    """Larger than a message may be: the connection is closed."""
    with wire.Peer(b) as p, contextlib.suppress(OSError):
        p.send(wire.request('Vault.CreateSubject', t.create() * 6000, os.urandom(16)))
        need(p.ended(), 'it does not close')


def ends_in_the_middle(b, t):
    """Of its request; a record of TLS; and before its answer."""
    whole = wire.request('Vault.CreateSubject', t.create(), os.urandom(16))
    stale = wire.request('Vault.UpdateIdentity', t.update(b.somebody, etag='999'), os.urandom(16))
    head = (len(whole) + 4).to_bytes(8, 'big') + b'\x80\0\0\1'
    for cut in (1, 30, len(whole) // 2):
        with wire.Peer(b) as p:
            p.socket.sendall(head + whole[:-cut])
    for _ in range(8):
        with wire.Peer(b) as p:
            for _ in range(4):
                p.send(stale)


KINDS = {f.__name__.replace('_', ' '): f for f in (
    invalid_field, unknown_method, malformed, denied, expired, etag, look_up_taken, not_found, key_reused,
    key_missing, too_many, too_large, ends_in_the_middle)}


def full(b, t):
    """Fills the store, which must be a small one; then a request that has no room."""
    room = {f'filler {n}': wire.field(8, wire.field(1, f'f{n}') + wire.field(2, 'v' * 1000)) for n in range(30)}
    filler = wire.field(1, wire.field(1, wire.field(1, 'Filler')) + b''.join(room.values()))
    with wire.Peer(b) as p:
        for _ in range(2000):
            a = p.call('Vault.CreateSubject', filler, mutates=True)
            if a.code != 'OK':
                break
        same(a.reason, 'STORE_FULL', f'the store: {a}')
        for message in (t.create(), t.create(**room)):
            same(p.call('Vault.CreateSubject', message, mutates=True).reason, 'STORE_FULL', 'a request')
