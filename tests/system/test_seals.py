#!/usr/bin/python3 -B
"""The set of seals changed while the vault serves: one is added with a passphrase that the server is given then, each
opens the vault alone, one is removed and its key destroyed, the last one cannot be. All are lost, and a recovery key's
secret brings new ones. Somebody opens the anchor: an alarm.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'forensic'))

import reader	# noqa: E402

from bed import Bed, main, need, same, say, soon, step	# noqa: E402

WORDS = 'sieben Zwerge hinter den Bergen'
REFUSED = 4


def seals(b):
    return {s['name']: s for s in b.cli('seal', 'list', '--json').json['seals']}


def put(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    os.chmod(path, 0o600)


def find(b, person):
    return b.cli('subject', 'find', '--email', '-', '--json', text=f'{person}@people.example').json['subject']


def opened_by(b, seal):
    vault = reader.Vault(b.path('store'), b.path('anchor'), seal)
    return vault.root


def run(bin):
    with Bed(bin) as b:
        b.cli_alone('recovery', 'new', '--out', b.path('secret'))
        public = b.cli_alone('recovery', 'show', b.path('secret'), '--json').json['recovery_key']
        b.conf['backup'] = {'recovery_key': public}
        b.init()
        b.start()
        ada = b.create({'name': {'full': 'Ada'}, 'emails': ['ada@people.example']})
        same(list(seals(b)), ['file'], 'the seals')

        step('another process opens the anchor')
        same(b.metric('pdvault_anchor_opened_total'), 0, 'alarms before')
        b.cli('seal', 'list')
        b.cli('seal', 'test')
        with open(b.path('anchor'), 'rb') as f:
            f.read(16)
        soon(lambda: b.metric('pdvault_anchor_opened_total') == 1, 'the alarm')
        same(b.count('anchor_opened'), 1, 'events of the alarm')

        step('a passphrase is added, which the configuration did not have')
        b.conf['seal words'] = {'kind': 'passphrase', 'path': 'words', 'secret': 'ask'}
        b.conf['seal paper'] = {'kind': 'recovery'}
        b.write_conf()
        b.reload()
        need(not seals(b)['words']['used'], 'used before it was added')
        put(b.path('given'), WORDS + '\n')
        same(b.cli('seal', 'add', 'nobody', expect=None).status, 3, 'a seal that is not configured')
        same(b.cli('seal', 'add', 'words', '--secret', b.path('given'), '--json').json['state'], 'done', 'the job')
        b.cli('seal', 'add', 'paper')
        need(all(s['used'] for s in seals(b).values()), f'not all are used: {seals(b)}')
        need(b.cli('seal', 'add', 'words', expect=None).status != 0, 'added twice')
        same(b.cli('seal', 'test', '--json').json['seals'][1]['opens'], True, 'the passphrase opens')
        same(find(b, 'ada'), ada, 'who is found')
        same(b.stop(), 0, 'exit status')
        roots = {opened_by(b, reader.read_key_file(b.path('key'))),
                 opened_by(b, reader.read_passphrase_file(b.path('words'), WORDS.encode()))}
        same(len(roots), 1, 'root keys')

        step('a new version of each that has one')
        put(b.path('pin'), WORDS)
        b.conf['seal words']['secret'] = f'file:{b.path("pin")}'
        b.start()
        versions = {n: s['version'] for n, s in seals(b).items()}
        old = reader.read_key_file(b.path('key'))
        with open(b.path('key'), 'rb') as held:
            line = held.read()
            b.cli('key', 'rotate', 'seal')
            held.seek(0)
            need(held.read() != line, 'the old key file was not overwritten where it lay')
        now = {n: s['version'] for n, s in seals(b).items()}
        need(now['file'] != versions['file'] and now['words'] != versions['words'], 'the versions are the same')
        same(now['paper'], versions['paper'], 'the version of a recovery key')
        same(b.cli('key', 'rotate', 'seal', '--seal', 'paper', expect=None).status, 1, 'it has no other version')
        need(os.listdir(b.dir).count('key.next') == 0, 'PATH.next is left')

        step('the key file is removed: its key is destroyed, and the last one stays')
        with open(b.path('key'), 'rb') as held:
            line = held.read()
            b.cli('seal', 'remove', 'file')
            held.seek(0)
            need(held.read() != line, 'the key file was not overwritten')
        need(not os.path.exists(b.path('key')), 'the key file is still there')
        same(b.cli('seal', 'remove', 'words', expect=None).status, 1, 'the last that opens')
        same(b.cli('seal', 'remove', 'file', expect=None).status, 1, 'one that is not used')
        same(b.stop(), 0, 'exit status')
        try:
            opened_by(b, old)
            need(False, 'the old key file opens')
        except reader.Closed:
            pass
        del b.conf['seal file']
        b.start()
        same(find(b, 'ada'), ada, 'who is found')
        same(b.stop(), 0, 'exit status')

        step('all that open are lost, but not the recovery secret')
        os.unlink(b.path('words'))
        b.refuses(3)
        b.conf['seal main'] = {'kind': 'file', 'path': 'main.key'}
        b.write_conf()
        same(b.daemon('recover', '--recovery', b.path('pin')), REFUSED, 'no recovery secret')
        same(b.daemon('recover', '--recovery', b.path('secret')), 0, 'recover')
        del b.conf['seal words']
        b.start()
        same(find(b, 'ada'), ada, 'who is found')
        same(sorted(n for n, s in seals(b).items() if s['used']), ['main', 'paper', 'words'], 'the seals')
        b.cli('seal', 'remove', 'words')
        b.cli('subject', 'erase', ada, '--yes')
        same(b.stop(), 0, 'exit status')
        say(f'{len(roots)} root, {b.lives} lives')
        b.quiet('Ada', WORDS)


main(run)
