#!/usr/bin/python3 -B
"""F6: of the program that is deployed (preset release), whoever may read the memory of every process (root) finds no
key, where the kernel has memfd_secret(2): not in an image, and not in a core with all that a debugger gets. Where it has
not, keys lie in locked memory that the kernel leaves out of a core; that is shown of the forensic build too. And
a crash leaves no core.

The control is the same vault under the forensic build, whose keys lie in ordinary locked memory: the same search
finds the live root key in the image and in the core.
"""
import contextlib
import ctypes
import glob
import os
import resource
import signal
import subprocess
import sys

import lab
import memory
import reader
import refusals
import wire
from bed import ROOT, Bed, held, main, need, same, say, soon, step

SLAB = 4 << 20		# [secret] memory


def release():
    """The folder of the programs that are deployed, built as they are."""
    done = subprocess.run([os.path.join(ROOT, 'tests', 'tree.sh'), 'release', 'binary'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    need(done.returncode == 0, f'the preset release: {done.stdout[-500:]}')
    return os.path.join(ROOT, 'build', 'release', 'bin')


def use(b):
    """Writes, reads, and a refusal; everything that a look at memory then may not show."""
    t = refusals.Texts()
    with wire.Peer(b) as p:
        a = p.call('Vault.CreateSubject', t.create(), mutates=True)
        same(a.code, 'OK', f'create: {a}')
        subject = a.values(1)[0]
        same(p.call('Vault.GetIdentity', wire.field(1, subject)).code, 'OK', 'read')
        same(p.call('Vault.FindSubject', wire.field(1, t.email)).code, 'OK', 'find')
        same(p.call('Vault.UpdateIdentity', t.update(subject, etag='999'), mutates=True).code, 'ABORTED', 'etag')
    return t.all()


def seen(keys, image, core):
    """What of the keys stands in the image, and in the core file."""
    with open(core, 'rb') as f:
        data = f.read()
    os.unlink(core)
    return {what for k, what in keys.items() if k in image}, {what for k, what in keys.items() if k in data}


def look(b, name, everything):
    pid = b.process.pid
    keys = reader.read(b.dir).live_keys()
    image = memory.Image(pid)
    in_image, in_core = seen(keys, image, memory.core(pid, b.path('core'), everything))
    say(f'{name}: of {len(keys)} living keys {len(in_image)} kinds in the image, {len(in_core)} in the core'
        f'{"" if everything else " without what the kernel leaves out"}')
    return image, in_image, in_core


def kernel_hides():
    """Asked by a system call of our own, memfd_secret(0): the program must not be the one to say."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(447, 0)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def hidden(b):
    """What its keys lie in, by the log; it must be the best that this kernel has."""
    texts = use(b)
    soon(lambda: not memory.Image(b.process.pid).found(texts), 'the texts are gone')
    slab = [r for r in memory.regions(b.process.pid) if r.end - r.begin == SLAB and (r.locked or r.hidden)]
    same(len(slab), 1, 'mappings that are the slab')
    need(slab[0].left_out, 'the slab is not left out of a core')
    kind = next(e['what'] for e in b.events(b.lives) if e['event'] == 'secret_memory')
    same(kind, 'memfd_secret' if kernel_hides() else 'locked', 'the memory for secrets')
    _, in_image, in_core = look(b, 'deployed', kind == 'memfd_secret')
    if kind == 'memfd_secret':
        need(slab[0].hidden, 'the log says memfd_secret, and the mapping is another')
        need(not in_image, f'F6: {in_image} in the memory of the deployed program')
    else:
        need(slab[0].locked, 'the slab is not locked')
        say('this kernel has no memfd_secret: root sees what is locked, so only a core without it is looked at')
    need(not in_core, f'F6: {in_core} in a core of the deployed program')
    return kind


def crash(b):
    """SIGSEGV with the limit of cores lifted from outside, if that can be; another program in the same place does leave one."""
    folder = b.path('here')
    os.mkdir(folder)
    b.start('env', '-C', folder)
    with contextlib.suppress(PermissionError):		# else the limit is what the program made it, none
        resource.prlimit(b.process.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    b.process.send_signal(signal.SIGSEGV)
    same(b.process.wait(60), -signal.SIGSEGV, 'how it ended')
    b.process = None
    need(not os.listdir(folder), f'it left {os.listdir(folder)}')
    subprocess.run([sys.executable, '-c', 'import os, resource as r; r.setrlimit(r.RLIMIT_CORE, (-1, -1)); '
                    'os.kill(os.getpid(), 11)'], cwd=folder, check=False)
    if not glob.glob(os.path.join(folder, 'core*')):
        say('cores go elsewhere on this machine: that none came shows nothing')
        return
    held(6, 'a crash of the deployed program leaves no core where another program leaves one')


def control(b):
    """The forensic build on the same files: what hides nothing is found, and what the kernel leaves out is not."""
    use(b)
    _, in_image, in_core = look(b, 'control', True)
    need({'root', 'KEK', 'index'} <= in_image & in_core, f'control: only {in_image} and {in_core} are seen')
    _, _, in_core = look(b, 'control', False)
    need(not in_core, f'F6: {in_core} in a core as the kernel writes it')
    held(6, 'a core as the kernel writes it, of a build whose keys lie in locked memory, has no key')


def run(bin):
    lab.check_build(bin)
    with Bed(bin) as b:
        b.conf['vault'].update(map_size='64M')
        b.init()
        step('F6: the forensic build, as a control')
        b.start()
        control(b)
        same(b.stop(), 0, 'exit status')
        step('F6: the program that is deployed')
        b.bin = release()
        b.start()
        kind = hidden(b)
        same(b.stop(), 0, 'exit status')
        crash(b)
    held(6, f'the deployed program, keys in {kind}: no key in a core' +
         (', none in its memory' if kind == 'memfd_secret' else ''))


main(run)
