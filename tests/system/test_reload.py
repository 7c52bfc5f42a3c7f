#!/usr/bin/python3 -B
"""SIGHUP: new certificates are used under load without one failed request; broken files leave the old ones in
use; a revoked client's connections are closed, and so are those of a CA that is trusted no more.
"""
import os
import shutil

import bed
import wire
from bed import need, same, say, step

MARK = 'Marker-Of-Jacks'
ROUNDS = 12


class Load:
    """Connections that stay, and new ones all the time; the first failure ends it."""

    def __init__(self, b, subject):
        self.b, self.raw = b, wire.subject_id(subject)
        self.standing = wire.Peer(b)

    def read(self, peer):
        answer = peer.call('Vault.GetIdentity', wire.field(1, self.raw))
        need(answer.code == 'OK' and MARK.encode() in answer.message, f'under load: {answer}')

    def old(self):
        self.read(self.standing)

    def new(self):
        with wire.Peer(self.b) as p:
            self.read(p)


def serial(b):
    with wire.Peer(b) as p:
        return p.socket.getpeercert()['serialNumber']


def fresh(b, load):
    """A new certificate each round, while both kinds of load go on."""
    seen = {serial(b)}
    with bed.Background(load.old) as old, bed.Background(load.new) as new:
        for _ in range(ROUNDS):
            b.pki.server()
            b.reload()
            seen.add(serial(b))
            same(int(serial(b), 16), int(b.pki.serial('server'), 16), 'the certificate in use')
    same(len(seen), ROUNDS + 1, 'certificates seen')
    need(old.rounds > ROUNDS and new.rounds > ROUNDS, 'there was no load')
    say(f'{old.rounds} requests on a standing connection, {new.rounds} new connections, none failed')


def broken(b, load):
    """Each file in turn is garbage, missing, or another's."""
    before = serial(b)
    names = ('server.pem', 'server.key', 'trust.pem', 'crl.pem')
    failures = b.metric('pdvault_reload_failures_total')
    with bed.Background(load.old), bed.Background(load.new):
        for name in names:
            path = b.pki.path(name)
            shutil.copy2(path, path + '.good')
            for spoil in ('garbage', 'empty', 'missing', 'another'):
                if spoil == 'missing':
                    os.unlink(path)
                elif spoil == 'another' and name == 'server.key':
                    shutil.copy2(b.pki.path('operator.key'), path)
                elif spoil == 'another' and name == 'server.pem':
                    shutil.copy2(b.pki.path('operator.pem'), path)
                else:
                    with open(path, 'w', encoding='ascii') as f:
                        f.write('-----BEGIN CERTIFICATE-----\nAAAA\n' if spoil != 'empty' else '')
                    os.chmod(path, 0o600)
                b.reload('reload_failed')
                failures += 1
                same(serial(b), before, f'the certificate in use ({name} is {spoil})')
                same(b.metric('pdvault_reload_failures_total'), failures, 'failures counted')
            os.rename(path + '.good', path)
    b.reload()
    say(f'{len(names) * 4} broken files, the old ones stay')


def revoked(b):
    """The connections of the revoked end, and new ones are refused; others do not feel it."""
    raw = wire.field(3, 'nobody')
    with wire.Peer(b, 'reader') as theirs, wire.Peer(b) as ours:
        same(theirs.call('Vault.FindSubject', raw).code, 'NOT_FOUND', 'before')
        b.pki.crl('reader')
        b.reload()
        need(theirs.ended(), 'the connection of a revoked client stays')
        same(ours.call('Vault.FindSubject', raw).code, 'NOT_FOUND', 'somebody else')
        try:
            with wire.Peer(b, 'reader') as again:
                again.call('Vault.FindSubject', raw)
        except OSError:
            pass
        else:
            raise bed.Failed('a revoked client is served')
        need(wire.works(b), 'new connections of others')
    b.cli('subject', 'find', '--account', '-', '--timeout', '2s', who='reader', text='x', expect=6)
    # With a new certificate the same service is welcome again.
    b.pki.client('reader')
    with wire.Peer(b, 'reader') as p:
        same(p.call('Vault.FindSubject', raw).code, 'NOT_FOUND', 'with a new certificate')


def other_authority(b):
    """Clients come from another CA from now on."""
    b.pki.authority('second')
    b.pki.client('newcomer', 'operator', ca='second')
    with wire.Peer(b) as old:
        same(old.call('Health.Check').code, 'OK', 'before')
        shutil.copy2(b.pki.path('second.pem'), b.pki.path('trust.pem'))
        b.reload()
        need(old.ended(), 'a connection of a CA that is trusted no more stays')
    with wire.Peer(b, 'newcomer') as p:
        same(p.call('Health.Check').code, 'OK', 'of the new CA')
    try:
        need(not wire.works(b), 'a client of the old CA is served')
    except OSError:
        pass


def run(bin):
    with bed.Bed(bin) as b:
        b.pki.crl()
        b.conf['tls'].update(crl='certificates/crl.pem', ca='certificates/trust.pem')
        shutil.copy2(b.pki.path('ca.pem'), b.pki.path('trust.pem'))
        b.init()
        b.start()
        load = Load(b, b.create({'name': {'full': MARK}}))
        step('new certificates under load')
        fresh(b, load)
        step('broken files')
        broken(b, load)
        step('a revoked client')
        revoked(b)
        load.standing.close()
        same(b.stop(), 0, 'exit status')
        step('another CA')
        del b.conf['tls']['crl']
        b.start()
        other_authority(b)
        same(b.stop(), 0, 'exit status')
        b.quiet(MARK)


bed.main(run)
