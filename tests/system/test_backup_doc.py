#!/usr/bin/python3
"""Every command of docs/BACKUP.md does what it is there for: they are run in their order, each after its loss."""
import json
import os
import re
import shutil
import subprocess

import bed
from bed import need, same, say, step

DOCUMENT = os.path.join(bed.ROOT, 'docs', 'BACKUP.md')


def blocks():
    """The commands under each heading."""
    found, heading = {}, None
    with open(DOCUMENT, encoding='utf-8') as f:
        text = f.read()
    for m in re.finditer(r'^#+ ([^\n]*)$|^```sh\n(.*?)^```$', text, re.M | re.S):
        if m[1]:
            heading = m[1]
        else:
            found.setdefault(heading, []).extend(m[2].splitlines())
    return found


class Machine:
    """The paths of the document are folders of the test's."""

    def __init__(self, b):
        self.b = b
        self.places = {'/etc/pdvault': b.dir, '/var/lib/pdvault': b.dir, '/backup': b.path('backup'),
                       '/media/safe': b.path('safe'), '/var/tmp/drill': b.path('drill')}
        os.mkdir(b.path('drill'))
        os.mkdir(b.path('backup'))
        os.mkdir(b.path('safe'))
        self.done = 0

    def run(self, line, env):
        for name, place in self.places.items():
            line = line.replace(name, place)
        line = line.replace('pdvaultd.conf', 'conf')
        if line.startswith('pdvaultd'):
            line += ' --force-class-d'
        done = subprocess.run(['bash', '-euc', line], capture_output=True, text=True, check=False, timeout=bed.PATIENCE,
                              env={**os.environ, **env, 'PATH': f"{self.b.bin}:{os.environ['PATH']}"})
        need(done.returncode == 0, f'{line}\n{done.stdout}{done.stderr}')
        self.done += 1
        return done.stdout

    def all(self, lines):
        env = self.b.settings() if self.b.process is not None else {}
        return [self.run(line, env) for line in lines]


def people(b, count):
    return {n: b.create({'emails': [f'marker{n}@document.example']}) for n in range(count)}


def check(b, alive, erased):
    for n, subject in alive.items():
        same(b.cli('subject', 'get', subject, '--json').json['identity']['emails'], [f'marker{n}@document.example'],
             f'the email of {n}')
    for subject in erased:
        b.cli('subject', 'get', subject, expect=4)


def run(bin):
    text = blocks()
    with bed.Bed(bin) as b:
        m = Machine(b)
        b.init()
        step('once')
        out = m.all(text.pop('Once'))
        key = re.search('[0-9a-f]{64}', out[0])[0]
        b.conf['backup'] = {'recovery_key': key}
        b.start()
        alive = people(b, 12)
        erased = [alive.pop(0)]
        b.cli('subject', 'erase', erased[0], '--yes')
        step('every day')
        out = m.all(text.pop('Every day'))
        same(len(json.loads(b.cli('backup', 'list', '--outstanding', '--json').out)['key_backups']), 1, 'outstanding')
        erased.append(alive.pop(1))
        b.cli('subject', 'erase', erased[1], '--yes')
        b.cli('ledger', 'export', b.path('backup', 'ledger'))

        step('every quarter')
        out = m.all(text.pop('Every quarter'))
        need('looked at: 10 subjects, 10 look-ups' in out[0], out[0])

        step('the store is lost')
        b.kill()
        shutil.rmtree(b.path('store'))
        m.all(text.pop('The store is lost'))
        b.start()
        check(b, alive, erased)

        step('the anchor is lost')
        b.stop()
        os.unlink(b.path('anchor'))
        m.all(text.pop('The anchor or the key file is lost'))
        b.start()
        check(b, alive, erased)

        step('the machine is lost')
        b.kill()
        shutil.rmtree(b.path('store'))
        os.unlink(b.path('anchor'))
        os.unlink(b.path('key'))
        m.all(text.pop('The machine is lost'))
        b.start()
        check(b, alive, erased)

        step('old data with the living keys')
        erased.append(alive.pop(2))
        b.cli('subject', 'erase', erased[2], '--yes')
        b.stop()
        shutil.rmtree(b.path('store.before'))
        m.all(text.pop('Old data with the living keys'))
        b.start()
        check(b, alive, erased)

        step('people got new keys')
        m.all(text.pop('When people got new keys'))
        check(b, alive, erased)
        outstanding = json.loads(b.cli('backup', 'list', '--outstanding', '--json').out)['key_backups']
        same(len(outstanding), 1, 'outstanding after a rotation')
        same(text, {}, 'commands that were not run')
        say(f'{m.done} commands')


bed.main(run)
