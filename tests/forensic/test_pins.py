#!/usr/bin/python3 -B
"""A passphrase and the PINs of two tokens, given by file, by descriptor and by `pdvault seal add --secret -`: none is in the
arguments or the environment of server and tool, in a log, a file or an answer, nor in the tool as it ends; in the server
each stands once, in the memory for secrets, and nowhere else: not in a stack, the heap, or what a token's module and
the TPM's library have. One that was refused is gone. KEKs in use stand in locked memory alone, and none of a version
that was replaced or of a seal that was removed stands anywhere.
"""
import os
import secrets
import subprocess
import time

import lab
import memory
import reader
import wire
from bed import held, main, need, same, say, soon, step
from devices import SOFTHSM, Tokens, Tpm
from lab import key_id

SLAB = 4 << 20		# memory for secrets
LATER = 7200		# seconds: more than any kind wants between two versions
TOKEN = {'aes': 'pdvault one', 'rsa': 'pdvault two'}


def put(path, text):
    with open(path, 'w', encoding='ascii') as f:
        f.write(text)
    os.chmod(path, 0o600)


class Bench(lab.Lab):
    def __init__(self, bin):
        super().__init__(bin)
        self.tokens, self.tpm = Tokens(self), Tpm(self)
        self.environment['LD_PRELOAD'] = os.path.join(bin, 'system_later.so')
        self.words = secrets.token_hex(100)
        self.pins = {name: self.tokens.make(label) for name, label in TOKEN.items()}
        self.vain = []		# texts that were given and refused

    def given(self):
        return [self.words, *self.pins.values()]

    def seals(self, **where):
        """Sections of the configuration; where: of each seal where its secret comes from."""
        self.conf['seal words'] = {'kind': 'passphrase', 'path': 'words', 'secret': where['words']}
        for name, mechanism in (('aes', 'aes-gcm'), ('rsa', 'rsa-oaep')):
            self.conf[f'seal {name}'] = {'kind': 'pkcs11', 'path': name, 'module': SOFTHSM, 'token': TOKEN[name],
                                         'mechanism': mechanism, 'secret': where[name]}
        self.conf['seal chip'] = {'kind': 'tpm', 'path': 'chip', 'tcti': self.tpm.tcti}

    def outside(self, pid, texts, what):
        """What everybody, or the same user, may read of a process."""
        for name in ('cmdline', 'environ'):
            with open(f'/proc/{pid}/{name}', 'rb') as f:
                data = f.read()
            need(data, f'{name} of the {what} is empty')
            found = memory.search(data, texts)
            need(not found, f'{found} in {name} of the {what}')

    def on_disk(self, when):
        texts = self.given() + self.vain
        for name in [*self.files(), 'words', 'aes', 'rsa', 'chip', 'registry']:
            if os.path.exists(self.path(name)):
                with open(self.path(name), 'rb') as f:
                    found = memory.search(f.read(), texts)
                need(not found, f'{when}: {found} in {name}')
        self.quiet(*texts)

    def answers(self, when):
        with wire.Peer(self) as p:
            for method in ('Admin.GetStatus', 'Keys.ListSeals', 'Keys.ListJobs'):
                a = p.call(method, b'')
                same(a.code, 'OK', method)
                found = memory.search(a.message, self.given() + self.vain)
                need(not found, f'{when}: {found} in the answer of {method}')

    def slab(self):
        found = [r for r in memory.regions(self.process.pid) if r.end - r.begin == SLAB and r.locked]
        same(len(found), 1, 'mappings that are the memory for secrets')
        with open(f'/proc/{self.process.pid}/mem', 'rb', buffering=0) as f:
            f.seek(found[0].begin)
            return f.read(SLAB)

    def in_server(self, when, kept):
        """kept: those that it needs; each stands once, in its place."""
        texts = self.given() + self.vain
        memory.gone(lambda: {where: hits for where, hits in memory.Image(self.process.pid).found(texts).items()
                             if where != 'locked memory'})
        image, slab = memory.Image(self.process.pid), self.slab()
        for text in texts:
            data = text.encode()
            inside = slab.count(data)
            anywhere = sum(part.count(data) for _, part in image.parts)
            same((inside, anywhere), (text in kept,) * 2, f'{when}: how often a secret stands in its memory, and in all')
        return image

    def keys(self, when, image):
        """Of all KEKs ever made those that live are in locked memory, and no other key that is dead is anywhere."""
        vault = reader.read(self.dir)
        living = {key_id(k): what for k, what in vault.live_keys().items()}
        dead = {k: purpose for k, purpose in self.registered() if k not in living}
        keks = [k for k, what in living.items() if what == 'KEK']
        image.write(self.path('image'))
        found, _ = self.scan([*dead, *keks], 'image')
        ends, at = [], 0
        for where, data in image.parts:
            at += len(data) + 64
            ends.append((at, where))
        for _, offset, ident in found:
            where = next(w for end, w in ends if offset < end)
            need(ident not in dead, f'{when}: a dead key of purpose {dead.get(ident)} in {where}')
            same(where, 'locked memory', f'{when}: where a KEK stands')
        same({ident for _, _, ident in found}, set(keks), f'{when}: KEKs in use that are seen, the control')
        return len(dead)


def add(b, name, secret, expect=0):
    """By standard input, with a look at the tool while it has the secret."""
    tool = subprocess.Popen([os.path.join(b.bin, 'pdvault'), 'seal', 'add', name, '--secret', '-', '--json'],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env={**os.environ, **b.settings()})
    tool.stdin.write(secret.encode() + b'\n')
    tool.stdin.flush()
    soon(lambda: memory.Image(tool.pid).found([secret], forms=False), 'the tool has read it: the control')
    b.outside(tool.pid, b.given() + [secret], 'tool')
    out = tool.communicate()[0]
    need(secret.encode() not in out, 'the tool shows what it was given')
    same(tool.returncode == 0, expect == 0, f'exit status {tool.returncode} of adding {name}: {out}')


def refused(b, name):
    """A secret that comes to nothing."""
    b.vain.append(secrets.token_hex(12))
    add(b, name, b.vain[-1], expect=1)


def tool_forgets(b):
    """A core of the tool where it writes, as the control, and where it ends."""
    for stop, there in (('break json_out_print', True), ('catch syscall exit_group', False)):
        core, _ = memory.tool(b, stop, b.words + '\n', 'seal', 'add', 'words', '--secret', '-')
        found = memory.file_found(core, [b.words])
        os.unlink(core)
        need(bool(found) == there, f'a core of the tool at {stop}: {found}')
        if there:
            b.cli('seal', 'remove', 'words')


def by_tool(b):
    step('given to a vault that serves')
    b.seals(words='ask', aes='ask', rsa='ask')
    b.write_conf()
    b.reload()
    refused(b, 'aes')		# a wrong PIN
    tool_forgets(b)
    add(b, 'aes', b.pins['aes'])
    add(b, 'rsa', b.pins['rsa'])
    b.cli('seal', 'add', 'chip')
    refused(b, 'nobody')
    refused(b, 'words')		# in use already
    b.cli('seal', 'test')
    looked_at(b, 'given by the tool', b.given())


def looked_at(b, when, kept):
    b.outside(b.process.pid, b.given() + b.vain, 'server')
    b.answers(when)
    image = b.in_server(when, kept)
    b.on_disk(when)
    dead = b.keys(when, image)
    say(f'{when}: {len(kept)} secrets, once each; {image.bytes() >> 20} MiB; {dead} dead keys nowhere')


def at_start(b):
    step('given by descriptor and by file')
    put(b.path('given.words'), b.words + '\n')
    for name, pin in b.pins.items():
        put(b.path(f'given.{name}'), pin + '\n')
    b.seals(words='fd:7', aes=f'file:{b.path("given.aes")}', rsa=f'file:{b.path("given.rsa")}')
    b.environment['PDVAULT_LATER'] = str(LATER)
    b.start('sh', '-c', 'exec "$@" 7<"$0"', b.path('given.words'))
    b.cli('seal', 'test')
    looked_at(b, 'given at start', b.given())

    step('new versions')
    same(b.cli('key', 'rotate', 'seal', '--json').json['done'], 5, 'seals that have a new version')
    b.cli('seal', 'test')
    looked_at(b, 'after new versions', b.given())

    step('removed')
    for name in ('aes', 'rsa', 'chip', 'words'):
        b.cli('seal', 'remove', name)
    looked_at(b, 'after they were removed', [])


def run(bin):
    lab.check_build(bin)
    with Bench(bin) as b, b.tpm:
        b.init()
        b.start()
        by_tool(b)
        same(b.stop(), 0, 'exit status')
        at_start(b)
        same(b.stop(), 0, 'exit status')
        b.on_disk('at the end')
        held(6, f'{len(b.given())} secrets of seals, given in three ways, and {len(b.vain)} that were refused: none but in the '
                'memory for secrets')


main(run)
