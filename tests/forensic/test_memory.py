#!/usr/bin/python3 -B
"""F7: after requests that were refused, cut off or that failed nothing of their texts, whole or in part, is in memory,
in a core file, in files or logs, and no key that is dead: none that an aborted batch made either. F8: in the middle
of a write, stopped before each of its calls, memory and a core hold the texts of the request that is under way,
which is the control of every search here, but of none that ended before; after a kill there the files and the next
life's memory hold no text and no dead key, also none that the cut-off batch made.
"""
import os
import select

import crash
import lab
import memory
import reader
import refusals
import tape
import wire
from bed import held, main, need, same, say, step
from lab import bed, key_id
from refusals import Texts


INDETERMINATE = 'UNKNOWN OUTCOME_INDETERMINATE'	# and then the process ends


class Bench(crash.Bench):
    """With somebody whom the requests are about, and an erased person."""

    soon = staticmethod(bed.soon)

    def __init__(self, bin):
        super().__init__(bin)
        self.conf['limits'] = {'in_flight_per_connection': str(refusals.IN_FLIGHT)}
        self.ended = []		# texts of requests that are over

    def people_are_there(self):
        self.email, self.other_email = 'somebody@else.example', 'other@else.example'
        self.somebody = wire.subject_id(self.create({'name': {'full': 'Somebody'}, 'emails': [self.email]}))
        for i in range(12):
            self.create({'name': {'full': f'Other {i}'}, 'emails': [self.other_email] if i == 0 else []})
        self.nobody = self.somebody[:2] + bytes(14)

    def written_and_erased(self):
        """Requests that went well are over as well."""
        t = Texts()
        with wire.Peer(self) as p:
            a = p.call('Vault.CreateSubject', t.create(), mutates=True)
            same(a.code, 'OK', f'create: {a}')
            same(p.call('Vault.GetIdentity', wire.field(1, a.values(1)[0])).code, 'OK', 'read')
            same(p.call('Vault.FindSubject', wire.field(1, t.email)).code, 'OK', 'find')
            same(p.call('Rights.EraseSubject', wire.field(1, a.values(1)[0]), mutates=True).code, 'OK', 'erase')
        self.ended += t.all()

    # What must not be there.

    def in_files(self, texts, when):
        for name in self.files():
            found = memory.search(memory.without_zeros(crash.content(self.path(name))), texts)
            need(not found, f'{when}: {found} in {name}')
        self.quiet('kestrel', *texts)

    def no_text(self, texts, when, image=None):
        """Nor in the image; without one, in one of now, or in a moment: test_lifetimes.py measures that."""
        if image is None:
            memory.gone(lambda: memory.Image(self.process.pid).found(texts))
        else:
            found = image.found(texts)
            need(not found, f'{when}: {found}')
        self.in_files(texts, when)

    def keys(self, when, *images, folder=None):
        """Of all keys ever made none but the living in memory and core; the live root key there, and no key in a
        file. folder: the vault's files while the server stands still."""
        vault = reader.read(folder or self.dir)
        living = {key_id(k) for k in vault.live_keys()}
        dead = {k: purpose for k, purpose in self.registered() if k not in living}
        root = key_id(vault.root)
        found, windows = self.scan([*dead, root], *images, *self.files())
        for where, offset, ident in found:
            need(ident == root, f'{when}: a dead key of purpose {dead.get(ident)} in {where} at {offset:#x}')
            need(where in images, f'{when}: the root key in {where}')
        same({where for where, _, _ in found}, set(images), f'{when}: images that hold the live root key')
        return len(dead), windows


def refused(b):
    """F7: each kind, then memory, a core and the files."""
    for kind, function in refusals.KINDS.items():
        t = Texts()
        function(b, t)
        memory.gone(lambda t=t: memory.Image(b.process.pid).found(t.all(), forms=False))
        b.ended += t.all()
    b.written_and_erased()
    b.no_text(b.ended, 'F7: after all kinds')
    memory.Image(b.process.pid).write(b.path('image'))
    core = memory.core(b.process.pid, b.path('core'), True)
    found = memory.file_found(core, b.ended)
    need(not found, f'F7: {found} in a core')
    need(b.pki.path('server.pem').encode() in crash.content(core), 'the core does not hold what it must')
    dead, windows = b.keys('F7', 'image', 'core')
    os.unlink(core)
    held(1, f'{dead} dead keys, not in memory and not in a core')
    held(7, f'{len(refusals.KINDS)} kinds of refused requests: {len(b.ended)} texts and {dead} dead keys not in memory, '
            f'core, files, logs ({windows} windows)')


def store_full(bin):
    with Bench(bin) as b:
        b.conf['vault'].update(map_size='16M')
        b.init()
        b.start()
        t = Texts()
        refusals.full(b, t)
        b.no_text(t.main(), 'F7: a full store')
        memory.Image(b.process.pid).write(b.path('image'))
        dead, _ = b.keys('F7: a full store', 'image')
        same(b.stop(), 0, 'exit status')
    held(7, f'a full store: no text, none of {dead} dead keys in memory')


class Deed:
    """One request from a fixed disk, so that its calls have the same numbers each time; before it, in the same life,
    others that are refused."""

    def __init__(self, b, method, make):
        self.b, self.method, self.make = b, method, make
        self.image = b.held()
        self.numbers = self.learn()

    def begin(self, **more):
        """Sends it, and waits for nothing."""
        b = self.b
        self.t, self.earlier = Texts(), Texts()
        for name, data in self.image.items():
            with open(name, 'wb') as f:
                f.write(data)
        with open(b.path('store/lock.mdb'), 'wb'):
            pass		# readers of the life before
        b.record(**more)
        b.start()
        self.peer = wire.Peer(b)
        for method, message, code in (
                ('Vault.UpdateIdentity', self.earlier.update(b.somebody, etag='999'), 'ABORTED'),
                ('Vault.FindSubject', wire.field(1, self.earlier.email), 'NOT_FOUND'),
                ('Vault.CreateSubject', self.earlier.create(bad=wire.field(4, self.earlier.name)), 'INVALID_ARGUMENT')):
            same(self.peer.call(method, message, mutates=True).code, code, method)
        self.first = len(b.calls())
        self.peer.send(wire.request(self.method, self.make(self.t), os.urandom(16)))

    def held_back(self):
        """It stands still before the call; False: there was no such call this time, and it was answered."""
        pid = self.b.process.pid
        bed.soon(lambda: memory.state(pid) == 'T' or select.select([self.peer.socket], [], [], 0)[0], 'it stands still')
        return memory.state(pid) == 'T'

    def end(self):
        self.peer.close()
        self.b.unrecorded()
        self.b.kill()

    def learn(self):
        """The numbers of its calls that change something."""
        self.begin()
        same(self.peer.receive()[1].code, 'OK', self.method)
        calls = self.b.calls()
        self.end()
        answer = max(i for i, c in enumerate(calls) if c.kind == tape.SEND)
        return [c.number for c in calls[self.first:answer] if c.kind in tape.CHANGES]


def failed(b, deed, name):
    """F7: a write or flush that fails where the server survives it."""
    survived, told = 0, set()
    for number in deed.numbers:
        when = f'F7: {name}, call {number} failed'
        deed.begin(PDV_TAPE_FAIL=str(number))
        answer = deed.peer.receive()[1]
        told.add(f'{answer.code} {answer.reason}'.strip())
        texts = deed.t.main() + deed.earlier.main()
        if f'{answer.code} {answer.reason}' == INDETERMINATE:
            b.process.wait(bed.PATIENCE)	# nothing but files is left
            b.in_files(texts, when)
        else:
            b.no_text(texts, when)
            survived += 1
        if survived == 1:
            memory.Image(b.process.pid).write(b.path('image'))
            b.keys(when, 'image')
        deed.end()
    need(survived > 0, f'{name}: it survived nothing')
    held(7, f'{name}: each of {len(deed.numbers)} calls fails, {survived} survived: {", ".join(sorted(told))}')


def in_the_middle(b, deed, numbers, name, own):
    """F8. own: whether the request has texts of its own, which are there as long as it is under way."""
    there = dead = reached = 0
    for number in numbers:
        when = f'F8: {name}, before call {number}'
        deed.begin(PDV_TAPE_HOLD=str(number))
        if not deed.held_back():
            deed.end()
            continue
        reached += 1
        image = memory.Image(b.process.pid, go_on=False)
        there += bool(image.found(deed.t.main(), forms=False))
        b.no_text(deed.earlier.main(), when, image)
        if own and number == numbers[0]:
            core_of(b, deed, when)
        texts = deed.t.main() + deed.earlier.main()
        deed.end()
        b.start()
        b.no_text(texts, f'{when}, the next life', memory.Image(b.process.pid))
        memory.Image(b.process.pid).write(b.path('image'))
        dead = b.keys(f'{when}, the next life', 'image')[0]
        b.kill()
    need(reached * 2 > len(numbers), f'{name}: only {reached} of {len(numbers)} calls were reached')
    # A call of that number can be another's, when the server was slow.
    need(there * 2 > reached if own else there == 0,
         f'{name}: control: {there} of {reached} images have the texts of the request under way')
    held(8, f'{name}, killed before {reached} of its calls: {there} images had its own texts, none others; files '
            f'and the next life no text, none of {dead} dead keys')


def core_of(b, deed, when):
    core = memory.core(b.process.pid, b.path('core'), True)
    found = {text for text, _ in memory.file_found(core, deed.t.main() + deed.earlier.main())}
    need(not found & set(deed.earlier.main()), f'{when}: {found} in a core')
    need(deed.t.name in found, f'{when}: control: its own text is not in the core')
    os.unlink(core)


def run(bin):
    lab.check_build(bin)
    with Bench(bin) as b:
        b.init()
        b.start()
        b.people_are_there()
        step('F7: requests that were refused')
        refused(b)
        same(b.stop(), 0, 'exit status')
        create = Deed(b, 'Vault.CreateSubject', lambda t: t.create())
        erase = Deed(b, 'Rights.EraseSubject', lambda _: wire.field(1, b.somebody))
        step('F7: calls fail')
        failed(b, create, 'create')
        failed(b, erase, 'erase')
        step('F8: in the middle of a request')
        in_the_middle(b, create, create.numbers, 'create', True)
        in_the_middle(b, erase, erase.numbers[::3], 'erase', False)
    step('F7: a full store')
    store_full(bin)


main(run)
