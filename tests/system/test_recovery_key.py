#!/usr/bin/python3
"""The recovery key by the tool alone, without a vault: `recovery new|show`, its files as docs/FORMAT.md says them, and
where the secret goes and where it does not.
"""
import hashlib
import itertools
import json
import os
import pty
import stat
import subprocess
import tempfile

from nacl.bindings import crypto_scalarmult_base

import bed
from bed import need, same, step

FAILED, USAGE, NOT_FOUND, CONFLICT = 1, 2, 3, 7


class Tool:
    """pdvault in a folder of its own, with no settings at all."""

    def __init__(self, bin, folder):
        self.command, self.folder = os.path.join(bin, 'pdvault'), folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith('PDVAULT_')}
        self.environment = {**kept, 'HOME': folder}

    def run(self, *words, expect=0, **more):
        done = subprocess.run([self.command, 'recovery', *words], cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=bed.PATIENCE, check=False,
                              **{'stdout': subprocess.PIPE, **more})
        same(done.returncode, expect, f'exit status of {words}: {done.stderr}')
        return bed.Answer(done)

    def path(self, name):
        return os.path.join(self.folder, name)

    def content(self, name):
        with open(self.path(name), encoding='ascii') as f:
            return f.read()

    def put(self, name, text):
        with open(self.path(name), 'w', encoding='ascii') as f:
            f.write(text)


def parsed(text, kind):
    """The lines of a file, from docs/FORMAT.md alone: its fields, checked."""
    lines = text.split('\n')
    same((lines[0], lines[-1]), (f'pdvault recovery {kind} 1', ''), 'first line, and the end')
    fields = dict(line.split(' ', 1) for line in lines[1:-1])
    before = text[:text.index('check ')]
    same(fields['check'], hashlib.blake2b(before.encode(), digest_size=32).hexdigest()[:16], 'check')
    return fields


def whole(text):
    """A secret file: its secret, which is the one of its public key."""
    fields = parsed(text, 'secret')
    same(list(fields), ['public', 'secret', 'check'], 'lines')
    same(crypto_scalarmult_base(bytes.fromhex(fields['secret'])).hex(), fields['public'], 'public key')
    return fields


def lines_of(public):
    return f'[backup]\nrecovery_key = {public}\n'


def one_file(t):
    made = t.run('new', '--out', 'one')
    fields = whole(t.content('one'))
    same(stat.S_IMODE(os.stat(t.path('one')).st_mode), 0o600, 'mode')
    same((made.out, made.err), (lines_of(fields['public']), ''), 'what is printed')
    same(t.run('show', 'one').out, made.out, 'show')
    same(t.run('show', 'one', '--json').json, {'recovery_key': fields['public']}, 'show, as JSON')
    before = t.content('one')
    error = t.run('new', '--out', 'one', '--json', expect=CONFLICT).error
    same((error['code'], error['reason']), ('ALREADY_EXISTS', 'FILE'), 'a file that is there')
    same(t.content('one'), before, 'the file after that')
    t.run('new', '--out', 'no/such/folder', expect=FAILED)
    need(fields['secret'] not in made.out + made.err, 'the secret is printed')


def shares(t):
    made = t.run('new', '--split', '2/3', '--out', 'part', '--json')
    same(sorted(n for n in os.listdir(t.folder) if n.startswith('part')), ['part.1', 'part.2', 'part.3'], 'files')
    found = [parsed(t.content(f'part.{n}'), 'share') for n in (1, 2, 3)]
    same([f['share'] for f in found], [f'{n} of 3, any 2' for n in (1, 2, 3)], 'shares')
    same(len({f['split'] for f in found}), 1, 'splits')
    same(len({f['data'] for f in found}), 3, 'data')
    for some in (*itertools.permutations((1, 2, 3), 2), (3, 1, 2)):
        first, *rest = (f'part.{n}' for n in some)
        more = [word for name in rest for word in ('--share', name)]
        same(t.run('show', first, *more, '--json').json, made.json, f'shares {some}')
    t.run('new', '--split', '2/3', '--out', 'else')
    for words, what in ((('part.1',), '1 given, 2 of 3 needed'), (('part.1', '--share', 'else.2'), 'another split'),
                        (('part.1', '--share', 'part.1'), 'is share 1'), (('part.1', '--share', 'one'), 'a secret')):
        error = t.run('show', *words, '--json', expect=FAILED).error
        same((error['code'], error['reason']), ('DATA_LOSS', 'RECOVERY_KEY'), what)
        need(what in error['detail'], f'{error["detail"]} instead of {what}')
    t.run('show', 'part.1', '--share', 'part.4', expect=NOT_FOUND)
    t.put('taken.2', 'mine')
    t.run('new', '--split', '2/3', '--out', 'taken', expect=CONFLICT)
    same([n for n in os.listdir(t.folder) if n.startswith('taken')], ['taken.2'], 'files after that')
    same(t.content('taken.2'), 'mine', 'the one that was there')


def on_a_terminal(t):
    """What `recovery new` shows there, and what it says beside it."""
    ours, theirs = pty.openpty()
    err = t.run('new', stdout=theirs).err
    os.close(theirs)
    shown = b''
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:		# its end, on Linux
        pass
    os.close(ours)
    return shown.decode().replace('\r\n', '\n'), err


def printed(t):
    before = sorted(os.listdir(t.folder))
    done = t.run('new', expect=USAGE)
    same(done.out, '', 'what is printed where there is no terminal')
    need('is no terminal' in done.err, 'it says why')
    text, err = on_a_terminal(t)
    fields = whole(text)
    need('this once' in err and lines_of(fields['public']) in err, 'what it says beside it')
    need(fields['secret'] not in err, 'the secret is on standard error')
    done = t.run('new', '--yes')
    need(whole(done.out)['secret'] != fields['secret'], 'each is a new one')
    need('this once' in done.err, 'it says that it is shown once')
    same(sorted(os.listdir(t.folder)), before, 'files that it made')
    # What was printed can be a file again.
    t.put('noted', text)
    same(t.run('show', 'noted').out, lines_of(fields['public']), 'show')
    found = json.loads(t.run('new', '--yes', '--json').out)
    fields = whole(found['file'])
    same((found['recovery_key'], found['secret']), (fields['public'], fields['secret']), 'JSON')
    with open('/dev/full', 'wb') as full:
        t.run('new', '--yes', stdout=full, expect=FAILED)


def wrong_words(t):
    before = sorted(os.listdir(t.folder))
    for split in ('1/2', '3/2', '2/17', '2', '2/', '/2', '2/3x', '2/3/4', '-2/3', '', '4294967298/3'):
        t.run('new', '--out', 'x', f'--split={split}', expect=USAGE)
    t.run('new', '--yes', '--split', '2/3', expect=USAGE)
    t.run('new', 'x', expect=USAGE)
    t.run('show', expect=USAGE)
    t.run('show', 'one', '--out', 'x', expect=USAGE)
    t.run('show', 'none', expect=NOT_FOUND)
    same(sorted(os.listdir(t.folder)), before, 'files after that')
    t.put('hello', 'hello\n')
    need('hello: is no file of a recovery key' in t.run('show', 'hello', expect=FAILED).err, 'what is wrong')
    t.put('changed', t.content('one').replace('check ', 'check 0')[:-2] + '\n')
    need('is damaged' in t.run('show', 'changed', expect=FAILED).err, 'what is wrong')


def run(bin):
    with tempfile.TemporaryDirectory(prefix='pdvault-system-') as folder:
        t = Tool(bin, folder)
        step('one file')
        one_file(t)
        step('shares')
        shares(t)
        step('the secret, printed')
        printed(t)
        step('what is refused')
        wrong_words(t)


bed.main(run)
