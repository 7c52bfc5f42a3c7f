#!/usr/bin/python3 -B
"""A vault with a seal of each kind that needs no device: a key file, a passphrase, a credential, a recovery key. The
independent reader opens it with every one of them alone, before and after switches that were made while two of the
seals were away.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'forensic'))

import invariants	# noqa: E402
import reader	# noqa: E402
from nacl.public import PrivateKey	# noqa: E402

from bed import Bed, main, need, same, say, step	# noqa: E402

WORDS = 'korrekt Pferd Batterie Heftklammer \u00e4'.encode()
NAMES = ['file', 'words', 'host', 'paper']


def put(path, data):
    with open(path, 'wb') as f:
        f.write(data)
    os.chmod(path, 0o600)


def configure(b, secret):
    put(b.path('pin'), WORDS + b'\n')
    os.mkdir(b.path('credentials'))
    put(b.path('credentials', 'host'), os.urandom(48))
    b.environment['CREDENTIALS_DIRECTORY'] = b.path('credentials')
    b.conf['seal words'] = {'kind': 'passphrase', 'path': 'words', 'secret': f'file:{b.path("pin")}'}
    b.conf['seal host'] = {'kind': 'credential'}
    b.conf['seal paper'] = {'kind': 'recovery'}
    b.conf['backup'] = {'recovery_key': bytes(secret.public_key).hex()}


def opens(b, secret):
    """Every seal gives the same root key, and all that is sealed; the seals are those of the configuration."""
    with open(b.path('credentials', 'host'), 'rb') as f:
        host = f.read()
    by = {'file': reader.read_key_file(b.path('key')), 'words': reader.read_passphrase_file(b.path('words'), WORDS),
          'host': reader.derived(host)}
    roots = set()
    for what, seal in by.items():
        vault = reader.Vault(b.path('store'), b.path('anchor'), seal)
        same([s.name.rstrip(b'\0').decode() for s in vault.seals], NAMES, 'the seals')
        same([s.ident for s in vault.seals if s.key == vault.kek], [vault.ident], f'the id of {what}')
        roots.add(vault.root)
    same(vault.seals[3].key, bytes(secret.public_key), 'the recovery key among the seals')
    same({s.since for s in vault.seals}, {1}, 'since when they are')
    roots.add(vault.slot.recover(bytes(secret)))
    same(len(roots), 1, 'root keys that the seals give')
    try:
        vault.slot.recover(bytes(PrivateKey.generate()))
    except reader.Closed:
        pass
    else:
        need(False, 'control: another recovery key opens')
    counted = invariants.check(vault)
    say(f'epoch {vault.epoch}, {counted["subjects"]} subjects, by each of {len(by) + 1} seals')
    return vault


def run(bin):
    secret = PrivateKey.generate()
    with Bed(bin) as b:
        configure(b, secret)
        step('a new vault')
        b.init()
        b.start()
        people = [b.create({'name': {'full': f'Queen {i}'}, 'emails': [f'queen{i}@queens.example']}) for i in range(4)]
        b.cli('subject', 'erase', people[0], '--yes')
        same(b.stop(), 0, 'exit status')
        before = opens(b, secret)

        step('two of its seals are away')
        for name in ('key', 'credentials/host'):
            os.rename(b.path(name), b.path('away.' + os.path.basename(name)))
        b.start()
        b.cli('subject', 'erase', people[1], '--yes')
        same(b.stop(), 0, 'exit status')
        os.rename(b.path('away.key'), b.path('key'))
        os.rename(b.path('away.host'), b.path('credentials', 'host'))
        after = opens(b, secret)
        need(after.epoch > before.epoch and after.root != before.root, 'no switch was made')
        same([s.key for s in after.seals], [s.key for s in before.seals], 'the keys of the seals')
        need(not {w.sealed for w in after.slot.wraps} & {w.sealed for w in before.slot.wraps} - {bytes(80)},
             'what is sealed for the recovery key is the same in two slots')

        step('all but the recovery key are away')
        for name in ('key', 'words', 'credentials/host'):
            os.unlink(b.path(name))
        b.refuses(3)
        b.quiet('Queen', WORDS.decode())


main(run)
