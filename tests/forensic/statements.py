"""What a vault has signed of its rotations (table jobs), judged by an independent reader: that the vault has signed it,
and that it is true of the vault at that moment. A job that is done says: no key of my kind and scope that is older than
my floor remains in use. What came later is newer still, so it stays true for ever.
"""
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from reader import BUCKET, CONTENT, KEK, KEYRING, PAGE, SIGNER, USAGE, has_signed, number

SEAL, TREE, SUBJECTS, INDEX, SIGNING, SEAL_ADD, SEAL_REMOVE = range(1, 8)
WAITING, RUNNING, PAUSED, DONE, CANCELLED, FAILED = range(1, 7)
ROW, SAID, LABEL = 328, 264, b'pdvault job 1'


class Untrue(Exception):
    """A statement is not signed by the vault, or is not true."""


def must(condition, what):
    if not condition:
        raise Untrue(what)


class Job:
    def __init__(self, ident, row):
        must(len(ident) == 16 and len(row) == ROW, 'the lengths of a row of jobs')
        self.ident, self.row = ident, row
        self.kind, self.state, self.category, self.retire = row[0], row[1], row[3], row[14]
        self.floor, self.floor_epoch = number(row[16:24]), number(row[24:32])
        self.done, self.damaged = number(row[64:72]), number(row[80:88])
        self.subject = row[96:112]
        self.seal, self.principal = (row[a:b].rstrip(b'\0').decode() for a, b in ((136, 168), (168, 232)))
        self.signer, self.signature = number(row[SAID - 8:SAID]), row[SAID:]
        must(SEAL <= self.kind <= SEAL_REMOVE and WAITING <= self.state <= FAILED, 'kind and state of a job')
        must((self.state == DONE) == (self.signer > 0), 'a job that is done and not signed, or the other way round')

    def statement(self, vault):
        return LABEL + vault + self.ident + self.row[:SAID]


def jobs(vault):
    """All of them, the oldest first."""
    return [Job(k, row) for k, row in sorted(vault.rows['jobs'].items())]


def is_signed(public, said, signature):
    try:
        VerifyKey(public).verify(said, signature)
    except BadSignatureError:
        return False
    return True


def signers(vault, first=None):
    """Number of each signing key -> its public half: those that the ledger names, each signed by the one before, which
    the entry behind it names. After a restore that had none but an older key the next one is numbered from that on.
    first: the first one, where somebody has kept it.
    """
    present = bytes(SigningKey(vault.signing).verify_key)
    numbers = {first: 1} if first is not None else {}
    for key, entry in sorted(vault.rows['ledger'].items()):
        if entry[66] != SIGNER:
            continue
        before = vault.rows['ledger'][(number(key) + 1).to_bytes(8, 'big')][32:64]
        must(before in numbers or not numbers, 'the ledger names a signing key before that was none')
        must(has_signed(before, vault.vault, entry, vault.rows['signers'][key]),
             'a signing key that the one before has not signed')
        numbers[entry[32:64]] = numbers.setdefault(before, 1) + 1
    must(numbers.get(present, 1) == vault.signer, 'the ledger names another signing key')
    return {**{n: public for public, n in numbers.items() if n <= vault.signer}, vault.signer: present}


def in_scope(job, category):
    if job.category:
        return category == job.category
    return category not in (CONTENT, USAGE)


def true_subjects(job, vault):
    for p in vault.people.values():
        if job.subject not in (bytes(16), p.id):
            continue
        for c in p.keys:
            if not in_scope(job, c):
                continue
            if job.retire:
                continue	# whatever was kept then is gone; another may be kept since
            must(p.made[c] >= job.floor // 1000, 'subjects: a key of a category that is older')


def true_tree(job, vault):
    for box in vault.boxes:
        if box.kind in (PAGE, BUCKET, KEYRING):
            must(box.epoch >= job.floor_epoch, 'tree: a page that was sealed before')


def true_index(job, vault):
    must(vault.index_made >= job.floor, 'index: the key is older')
    if any(j.kind == INDEX and j.ident > job.ident and j.state not in (DONE, FAILED) for j in jobs(vault)):
        return		# another rotation has begun
    must(vault.index_before == bytes(32), 'index: the key before is still there')
    must(all(e['parity'] == vault.parity for e in vault.entries), 'index: an entry under the key before')


def true_signing(job, vault):
    must(vault.signing_made >= job.floor, 'signing: the key is older')


def true_seal(job, vault):
    names = [s.name.rstrip(b'\0').decode() for s in vault.seals]
    old = sum(s.kind == KEK and s.made < job.floor for s, name in zip(vault.seals, names, strict=True)
              if job.seal in ('', name))
    must(old <= job.damaged, 'seal: a version that is older')


def true_set(job, vault):
    """Of what has come and gone the last word counts."""
    if any(j.kind in (SEAL_ADD, SEAL_REMOVE) and j.seal == job.seal and j.ident > job.ident and j.state == DONE
           for j in jobs(vault)):
        return
    there = job.seal in [s.name.rstrip(b'\0').decode() for s in vault.seals]
    must(there == (job.kind == SEAL_ADD), 'seal: one that was added is not there, or one that was removed is')


TRUE = {SEAL: true_seal, TREE: true_tree, SUBJECTS: true_subjects, INDEX: true_index, SIGNING: true_signing,
        SEAL_ADD: true_set, SEAL_REMOVE: true_set}


def check(vault, first=None):
    """All statements; how many. Of a job that left something as it was only the signature."""
    known, count = signers(vault, first), 0
    for job in jobs(vault):
        if job.state != DONE:
            continue
        count += 1
        must(job.signer <= vault.signer, 'a statement signed by a key to come')
        if job.signer in known:
            must(is_signed(known[job.signer], job.statement(vault.vault), job.signature),
                 'a statement that is not signed')
        if not job.damaged or job.kind == SEAL:
            TRUE[job.kind](job, vault)
    return count
