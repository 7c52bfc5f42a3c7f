#!/usr/bin/python3 -B
"""F5 at the client: after pdv_result_free nothing of an answer or of a request, whole or in part, is in the memory of a
process that uses the library, nor in a core file of it; nor in a core of the operators' tool as it ends. Before that it
is there: the control.
"""
import json
import os
import subprocess

import lab
import memory
import refusals
import wire
from bed import held, main, need, same, soon, step


class Service:
    """The process of client.c."""

    def __init__(self, b, subject):
        self.b = b
        pki = b.pki
        self.process = subprocess.Popen(
            [os.path.join(b.bin, 'forensic_client'), b.url, pki.path('ca.pem'), pki.path('operator.pem'),
             pki.path('operator.key'), subject], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, line, expect='OK'):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()
        same(self.process.stdout.readline().decode().strip(), expect, line[0])

    def found(self, texts):
        return memory.Image(self.process.pid).found(texts)


def library(b, subject, t, other, count):
    """count: results that are kept at once."""
    texts = t.all() + other.all()
    with Service(b, subject) as s:
        for _ in range(count):
            s.ask('g')
            s.ask(f'f{t.email}')
            s.ask(f'f{other.email}', 'NOT_FOUND')
            s.ask(f'u{t.name}')
        there = {text for what in s.found(texts).values() for text, _ in what}
        need({t.name, t.email, t.account, t.phone} <= there, f'control: while the results live only {there} is there')
        s.ask('x')
        need(not s.found(texts), f'F5: {s.found(texts)} is left of {count} results')
        core = memory.core(s.process.pid, b.path('core'), True)
        found = memory.file_found(core, texts)
        os.unlink(core)
        need(not found, f'F5: {found} in a core of a service')
        s.ask('e')
        need(not s.found(texts), 'F5: there after pdv_client_free')
    return len(texts)


def tools(b, subject, t):
    document = json.dumps({'identity': {'name': {'full': t.name}, 'emails': [t.email], 'phones': [t.phone]}})
    for stop, text, args, there in (
            ('break json_out_print', '', ('subject', 'get', subject), True),
            ('catch syscall exit_group', '', ('subject', 'get', subject), False),
            ('catch syscall exit_group', document, ('subject', 'update', subject, '--input', '-'), False),
            ('catch syscall exit_group', t.email, ('subject', 'find', '--email', '-'), False)):
        core, out = memory.tool(b, stop, text, *args)
        found = memory.file_found(core, t.all())
        os.unlink(core)
        if there:
            need(t.name in {text for text, _ in found}, 'control: it is about to write a name that is not there')
            continue
        need(out, f'{args[1]} has ended, and wrote nothing')
        need(not found, f'F5: {found} in a core of the tool at the end of {args[1]}')


def run(bin):
    lab.check_build(bin)
    with lab.Lab(bin) as b:
        b.init()
        b.start()
        t = refusals.Texts()
        with wire.Peer(b) as p:
            answer = p.call('Vault.CreateSubject', t.create(), mutates=True)
            same(answer.code, 'OK', 'create')
        subject = b.cli('subject', 'find', '--email', '-', '--json', text=t.email).json['subject']
        same(wire.subject_id(subject), answer.values(1)[0], 'who is found')
        step('F5: a service that uses the library')
        for count in (1, 12):
            texts = library(b, subject, t, refusals.Texts(), count)
        held(5, f'a service that uses the library: none of {texts} texts after pdv_result_free, in image and core')
        step('F5: the tool')
        tools(b, subject, t)
        held(5, 'the tool: no text in a core at its end')
        soon(lambda: not memory.Image(b.process.pid).found(t.all()), 'the server has let go as well')
        same(b.stop(), 0, 'exit status')


main(run)
