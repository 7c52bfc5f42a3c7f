"""A random history of creations, updates, erasures, crashes, backups of both kinds and restores, against a model in
memory: what is there is exactly what the model says, and nobody is back who was erased (R1 to R5).
"""
import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'forensic'))

import bed	# noqa: E402
import invariants	# noqa: E402
import reader	# noqa: E402
import wire	# noqa: E402
from bed import need, same	# noqa: E402
from wire import field	# noqa: E402

IDENTITY, BILLING = 1, 3
LOST = 'lost'


class Person:
    """keys: a name for the key of each category that is live. What a record says is a text, LOST, or None for none."""

    def __init__(self, number, identity, billing):
        self.number = number
        self.identity, self.billing = identity, billing
        self.keys = {IDENTITY: identity, **({BILLING: billing} if billing is not None else {})}
        self.sales = []

    def copy(self):
        other = Person(self.number, self.identity, self.billing)
        other.keys, other.sales = dict(self.keys), list(self.sales)
        return other


class KeyBackup:
    def __init__(self, folder, people):
        self.folder, self.people, self.open = folder, people, True


class Erasure:
    def __init__(self, ident, subject, categories, backups):
        self.ident, self.subject, self.categories = ident, subject, categories
        self.backups = backups		# that may still open it


class History:
    def __init__(self, bin, seed):
        self.b = bed.Bed(bin)
        self.chance = random.Random(seed)
        self.people, self.gone = {}, set()	# subject -> Person; erased as a whole
        self.erased = {}			# subject -> categories, ever
        self.erasures = []
        self.data, self.keys = [], []		# backups: (folders, {subject: Person}); KeyBackup
        self.count = self.folders = self.entries = 0
        self.done, self.disasters = {}, 0
        self.peer = None

    def __enter__(self):
        b = self.b
        b.conf['backup'] = {'recovery_key': b.cli_alone('recovery', 'new', '--out', b.path('recovery'),
                                                        '--json').json['recovery_key']}
        b.conf['ledger'] = {'copies': 'ledger'}
        b.init()
        self.start()
        return self

    def __exit__(self, *args):
        if self.peer is not None:
            self.peer.close()
        return self.b.__exit__(*args)

    # --- the server ---

    def start(self):
        self.b.start()
        self.peer = wire.Peer(self.b)

    def halt(self):
        self.peer.close()
        self.peer = None
        self.b.kill()

    def call(self, method, message, mutates=False, codes=('OK',)):
        r = self.peer.call(method, message, mutates)
        need(r.code in codes, f'{method}: {r}')
        return r

    def folder(self):
        self.folders += 1
        return self.b.path(f'backup.{self.folders}')

    # --- what people do ---

    def text(self):
        self.count += 1
        return f'marker{self.count}@history.example'

    def some(self, *categories):
        """Somebody who has all of these and may be written to; without any, anybody."""
        found = [s for s, p in self.people.items()
                 if not categories or (p.keys.keys() >= set(categories) and s not in self.erased)]
        return self.chance.choice(found) if found else None

    def create(self):
        identity = self.text()
        billing = self.text() if self.chance.random() < 0.5 else None
        message = field(1, field(2, identity) + field(3, f'+46 8 5550 {self.count % 30:03}'))
        if billing is not None:
            message += field(2, field(1, billing))
        subject = self.call('Vault.CreateSubject', message, True).values(1)[0]
        self.people[subject] = Person(self.count, identity, billing)

    def update(self):
        subject = self.some(IDENTITY)
        if subject is None:
            return
        p = self.people[subject]
        if self.chance.random() < 0.5:
            p.identity = self.text()
            self.call('Vault.UpdateIdentity', field(1, subject) + field(2, field(2, p.identity)), True)
        else:
            p.billing = self.text()
            p.keys.setdefault(BILLING, p.billing)
            self.call('Vault.UpdateBilling', field(1, subject) + field(2, field(1, p.billing)), True)

    def sell(self):
        subject = self.some(IDENTITY, BILLING)
        if subject is None:
            return
        self.count += 1
        ident = f's{self.count}'
        sale = field(1, ident) + field(2, field(1, 1700000000)) + field(3, self.count) + field(4, 'SEK')
        self.call('Vault.AppendTransactions', field(1, subject) + field(2, sale), True)
        self.people[subject].sales.append(ident)

    def erase(self):
        subject = self.some()
        if subject is None:
            return
        p = self.people[subject]
        category = self.chance.choice(sorted(p.keys)) if self.chance.random() < 0.4 else None
        dies = {category} if category is not None else set(p.keys)
        message = field(1, subject) + (field(2, category) if category is not None else b'')
        r = self.call('Rights.EraseSubject', message, True)
        self.erased.setdefault(subject, set()).update(dies)
        self.erasures.append(Erasure(r.values(1)[0], subject, dies,
                                     [k for k in self.keys if k.open and subject in k.people]))
        self.take_away(self.people, subject, dies)
        self.entries += 1
        if subject not in self.people:
            self.erased[subject] = set(range(1, 9))	# as a whole, whatever other keys an older backup has

    @staticmethod
    def take_away(people, subject, categories):
        p = people[subject]
        p.keys = {c: k for c, k in p.keys.items() if c not in categories}
        if IDENTITY in categories:
            p.identity = None
        if BILLING in categories:
            p.billing, p.sales = None, []
        if not p.keys:
            del people[subject]

    # --- what operators do ---

    def crash(self):
        self.halt()
        self.start()

    def back_up_data(self):
        folder = self.folder()
        chain = []
        if self.data and self.chance.random() < 0.6:
            chain = self.chance.choice(self.data)[0]
        since = [a for f in chain for a in ('--since', f)]
        self.b.cli('backup', 'data', folder, *since)
        self.data.append(([*chain, folder], self.copy()))

    def back_up_keys(self):
        folder = self.folder()
        self.b.cli('backup', 'keys', folder)
        self.keys.append(KeyBackup(folder, self.copy()))
        self.entries += 2

    def destroy_keys(self):
        living = [k for k in self.keys if k.open]
        if len(living) < 2:
            return
        k = self.chance.choice(living)
        self.b.cli('backup', 'destroy', k.folder, '--yes')
        k.open = False
        self.entries += 1

    def copy(self):
        return {s: p.copy() for s, p in self.people.items()}

    def wait_for_ledger(self):
        """The server's own copy of it has every erasure."""
        path, length = self.b.path('ledger'), 64 + 163 * self.entries
        bed.soon(lambda: os.path.exists(path) and os.path.getsize(path) == length, 'the copy of the ledger')

    def expected(self, keys, data):
        """People whose keys are there, as the data have them; whom the ledger names is forgotten."""
        people = {}
        for subject, p in keys.items():
            was = data.get(subject)
            q = people[subject] = p.copy()
            # A key that was made anew opens nothing of the one of before.
            fits = {c for c in q.keys if was is not None and was.keys.get(c) == q.keys[c]}
            q.identity = (was.identity if IDENTITY in fits else LOST) if IDENTITY in q.keys else None
            q.billing, q.sales = (was.billing, list(was.sales)) if BILLING in fits else (None, [])
            dead = self.erased.get(subject, set())
            if dead:
                self.take_away(people, subject, dead)
        return people

    def disaster(self):
        living = [k for k in self.keys if k.open]
        if not living or not self.data:
            return
        keys, (folders, data) = self.chance.choice(living), self.chance.choice(self.data)
        self.wait_for_ledger()
        self.halt()
        shutil.rmtree(self.b.path('store'))
        os.unlink(self.b.path('anchor'))
        os.unlink(self.b.path('key'))
        shutil.copy(self.b.path('ledger'), self.b.path('ledger.taken'))
        self.restore([a for f in folders for a in ('--data', f)], ['--keys', keys.folder, '--recovery',
                     self.b.path('recovery'), '--ledger', self.b.path('ledger.taken')])
        self.disasters += 1
        self.people = self.expected(keys.people, data)

    def living(self):
        if not self.data:
            return
        folders, data = self.chance.choice(self.data)
        self.halt()
        os.rename(self.b.path('store'), self.b.path('old'))
        self.restore([a for f in folders for a in ('--data', f)], ['--living', self.b.path('old')])
        shutil.rmtree(self.b.path('old'))
        self.people = self.expected(self.people, data)

    def restore(self, data, more):
        status = self.b.daemon('restore', *data, *more)
        need(status == 0, f'restore ended with {status}: {self.b.log_text(self.b.lives)}')
        self.start()
        vault = reader.read(self.b.dir)
        invariants.check(vault)
        for subject, categories in self.erased.items():
            person = vault.people.get(subject)
            need(person is None or not categories & set(person.keys), 'a key of somebody who was erased is back')

    # --- the comparison ---

    def check(self):
        for subject, p in self.people.items():
            self.check_identity(subject, p)
            r = self.peer.call('Vault.GetBilling', field(1, subject))
            same(wire.fields(r.values(1)[0])[0][1].decode() if r.code == 'OK' else None, p.billing,
                 f'billing of {p.number} ({r})')
            r = self.peer.call('Vault.ListTransactions', field(1, subject) + field(2, 200))
            sales = [wire.fields(t)[0][1].decode() for t in r.values(1)] if r.code == 'OK' else []
            same(sales, p.sales, f'sales of {p.number}')
        for e in self.erasures[-20:]:
            r = self.call('Rights.GetErasure', field(1, e.ident))
            outstanding = sum(k.open for k in e.backups)
            listed = len(r.values(8))
            # After two disasters some may be listed that do not have the subject, which was away meanwhile.
            need(listed == outstanding or (listed > outstanding and self.disasters > 1),
                 f'key backups that may open an erasure: {listed} instead of {outstanding}')
            same(r.values(3)[0], 2 if listed else 3, 'state of an erasure')
        same(self.b.status()['subjects'], len(self.people), 'how many are there')

    def check_identity(self, subject, p):
        r = self.peer.call('Vault.GetIdentity', field(1, subject))
        if p.identity is None:
            same(r.reason, 'CATEGORY_ERASED', f'the identity of {p.number}')
        elif p.identity == LOST:
            same(r.reason, 'RECORD_LOST', f'the identity of {p.number}')
        else:
            need(r.code == 'OK', f'the identity of {p.number}: {r}')
            same(dict(wire.fields(r.values(1)[0]))[2].decode(), p.identity, f'the email of {p.number}')
            found = self.peer.call('Vault.FindSubject', field(1, p.identity))
            same(found.values(1) if found.code == 'OK' else [], [subject], f'who is found by the email of {p.number}')

    def run(self, length):
        deeds = ((self.create, 40), (self.update, 30), (self.sell, 10), (self.erase, 12), (self.back_up_data, 1.6),
                 (self.back_up_keys, 1), (self.destroy_keys, 0.4), (self.crash, 0.4), (self.disaster, 0.5),
                 (self.living, 0.5))
        for deed in self.chance.choices([d for d, _ in deeds], [w for _, w in deeds], k=length):
            deed()
            self.done[deed.__name__] = self.done.get(deed.__name__, 0) + 1
        if not self.data:
            self.back_up_data()
        if not self.keys or not any(k.open for k in self.keys):
            self.back_up_keys()
        self.disaster()
        self.living()
        self.check()


def many(bin, seeds, length):
    base = int(os.environ.get('PDVAULT_SEED', time.time()))
    total = {}
    for n in range(seeds):
        bed.say(f'PDVAULT_SEED={base + n}') if n == 0 or 'PDVAULT_SEED' in os.environ else None
        with History(bin, base + n) as h:
            try:
                h.run(length)
            except BaseException:
                print(f'   PDVAULT_SEED={base + n} does it again', file=sys.stderr)
                raise
            for name, times in h.done.items():
                total[name] = total.get(name, 0) + times
    bed.say(', '.join(f'{times} {name}' for name, times in sorted(total.items())))
    return total
