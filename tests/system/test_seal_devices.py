#!/usr/bin/python3 -B
"""Seals in devices: two tokens of SoftHSM (AES-GCM and RSA-OAEP) and a TPM of swtpm, added to a vault with a key file
while it serves. They get new versions, not too often; each opens the vault alone, also after switches that were made
while it was away; what is wrong with one is in the log, and no request waits for it. A dead version of the TPM does not
come back, unless somebody puts back the whole state of a TPM in software. Removed, they leave nothing in their devices.
"""
import os
import shutil
import signal
import threading
import time

from bed import PATIENCE, Background, Bed, main, need, same, say, step
from devices import SOFTHSM, Tokens, Tpm

LATER = 7200	# seconds: more than any kind wants between two versions
PROMPT = 10	# seconds in which everything is answered that waits for no device
DEVICES = ('aes', 'rsa', 'chip')
ALL = ('file', *DEVICES)
TOKEN = {'aes': 'pdvault one', 'rsa': 'pdvault two'}


def put(path, text):
    with open(path, 'w', encoding='ascii') as f:
        f.write(text)
    os.chmod(path, 0o600)


class Bench(Bed):
    """A vault, its devices, and people to find."""

    def __init__(self, bin):
        super().__init__(bin)
        self.tokens, self.tpm = Tokens(self), Tpm(self)
        self.pins, self.people, self.gone = {}, {}, {}
        self.environment.update(LD_PRELOAD=os.path.join(bin, 'system_later.so'),
                                ASAN_OPTIONS='verify_asan_link_order=0')

    def devices_are_there(self):
        for name, mechanism in (('aes', 'aes-gcm'), ('rsa', 'rsa-oaep')):
            self.pins[name] = self.tokens.make(TOKEN[name])
            put(self.path(f'pin.{name}'), self.pins[name] + '\n')
            self.conf[f'seal {name}'] = {
                'kind': 'pkcs11', 'path': name, 'module': SOFTHSM, 'token': TOKEN[name], 'mechanism': mechanism,
                'secret': f'file:{self.path(f"pin.{name}")}'}
        self.conf['seal chip'] = {'kind': 'tpm', 'path': 'chip', 'tcti': self.tpm.tcti}

    def person(self, name):
        self.people[name] = self.create({'name': {'full': name.title()}, 'emails': [f'{name}@people.example']})

    def finds(self, name, status=0):
        a = self.cli('subject', 'find', '--email', '-', '--json', text=f'{name}@people.example', expect=None)
        same(a.status, status, f'exit status of looking for {name}')
        if status == 0:
            same(a.json['subject'], {**self.people, **self.gone}[name], 'who is found')

    def erase(self, name):
        """A switch."""
        self.gone[name] = self.people.pop(name)
        self.cli('subject', 'erase', self.gone[name], '--yes')

    def all_are_found(self):
        for name in self.people:
            self.finds(name)
        for name in self.gone:
            self.finds(name, 3)

    def seals(self):
        return {s['name']: s for s in self.cli('seal', 'list', '--json').json['seals']}

    def versions(self):
        return {n: s['version'] for n, s in self.seals().items()}

    def opening(self):
        """Which do, when they are tested now."""
        a = self.cli('seal', 'test', '--json', expect=None)
        seals = {n: s for n, s in self.seals().items() if s['used']}
        opens = {n for n, s in seals.items() if s['opens']}
        same(a.status == 0, opens == set(seals), f'exit status {a.status} of seal test, while {opens} open')
        same(self.metric('pdvault_seals_failing'), len(seals) - len(opens), 'the metric of those that fail')
        return opens

    def told(self, why, name, life=None):
        """Events of this life about that seal, that say so."""
        return [e for e in self.events(life or self.lives) if e['event'] == 'seal' and e.get('name') == name and
                why in e.get('why', '') + e.get('what', '')]

    def only(self, *names):
        """Puts all seals out of reach but these; the with block's end brings them back."""
        return Away(self, [n for n in ALL if n not in names])


class Away:
    def __init__(self, b, names):
        self.b, self.names = b, names

    def __enter__(self):
        b, self.tokens = self.b, []
        for n in self.names:
            if n == 'file':
                os.rename(b.path('key'), b.path('away.key'))
            elif n == 'chip':
                b.tpm.end()
            else:
                self.tokens.append(b.tokens.away(TOKEN[n]))
                self.tokens[-1].__enter__()

    def __exit__(self, *_):
        for t in self.tokens:
            t.__exit__(None, None, None)
        if 'file' in self.names:
            os.rename(self.b.path('away.key'), self.b.path('key'))
        if 'chip' in self.names:
            self.b.tpm.start()
        return False


def added(b):
    step('devices are added to a vault that serves')
    b.init()
    b.start()
    for name in ('ada', 'bob', 'cleo', 'dora', 'emil', 'fred', 'gerd'):
        b.person(name)
    b.devices_are_there()
    b.write_conf()
    b.reload()
    same({n for n, s in b.seals().items() if s['used']}, {'file'}, 'those in use before')
    for name in DEVICES:
        job = b.cli('seal', 'add', name, '--json').json
        same((job['state'], job['kind']), ('done', 'seal-add'), f'the job that adds {name}')
    same(set(b.seals()), set(ALL), 'the seals')
    need(all(s['used'] and s['class'] != 'A' for s in b.seals().values()), f'used, and not hardware: {b.seals()}')
    same(b.opening(), set(ALL), 'those that open')
    same([len(b.tokens.objects(TOKEN[n])) for n in ('aes', 'rsa')], [1, 2], 'keys in the tokens')
    same(len(b.tpm.counters()), 1, 'counters in the TPM')


def too_soon(b, name):
    a = b.cli('key', 'rotate', 'seal', '--seal', name, '--json', expect=None)
    need(a.status != 0 and 'SEAL_TOO_SOON' in a.out + a.err, f'a second version of {name}: {a.out}{a.err}')


def rotate_all(b, done, left):
    before = b.versions()
    job = b.cli('key', 'rotate', 'seal', '--json').json
    same((job['state'], job['done'], job['damaged']), ('done', done, left), 'state, renewed, left as they are')
    now = b.versions()
    same(sum(now[n] != before[n] for n in now), done, 'versions that are new')
    return {n for n in now if now[n] != before[n]}


def renewed(b):
    """With a copy of everything from before, which is for rolled_back()."""
    step('new versions, not too often')
    for name in DEVICES:
        too_soon(b, name)
    same(rotate_all(b, 1, 3), {'file'}, 'what may have another version at once')
    same(b.stop(), 0, 'exit status')
    shutil.copytree(b.path('store'), b.path('old.store'))
    for name in ('anchor', 'chip'):
        shutil.copy(b.path(name), b.path(f'old.{name}'))
    b.tpm.keep('old.tpm')
    b.environment['PDVAULT_LATER'] = str(LATER)
    b.start()
    same(rotate_all(b, 4, 0), set(ALL), 'what has another version later')
    too_soon(b, 'chip')
    same(rotate_all(b, 1, 3), {'file'}, 'what may have one more at once')
    same([len(b.tokens.objects(TOKEN[n])) for n in ('aes', 'rsa')], [1, 2], 'keys in the tokens')
    same(len(b.tpm.counters()), 2, 'counters in the TPM')
    same([n for n in os.listdir(b.dir) if n.endswith('.next')], [], 'files of versions on the way')
    b.erase('ada')
    same(b.opening(), set(ALL), 'those that open')
    same(b.stop(), 0, 'exit status')


AWAY = {'file': 'is not there', 'aes': 'no token with this label is there', 'rsa': 'no token with this label is there',
        'chip': 'cannot be reached'}


def alone(b):
    step('each opens the vault alone, also after switches without it')
    for name, victim in zip(ALL, ('bob', 'cleo', 'dora', 'emil')):
        with b.only(name):
            b.start()
            same(b.metric('pdvault_seals_failing'), len(ALL) - 1, 'those that fail, as a start finds them')
            for other in set(ALL) - {name}:
                need(b.told(AWAY[other], other), f'the log does not say that {other} is away')
            b.erase(victim)
            b.all_are_found()
            same(b.opening(), {name}, 'those that open')
            same(b.stop(), 0, 'exit status')
    with b.only():
        b.refuses(1, 'SEAL_UNAVAILABLE')
    b.start()
    same(b.opening(), set(ALL), 'those that open when all are back')
    same(b.stop(), 0, 'exit status')


def wrong_pin(b):
    step('a wrong PIN')
    put(b.path('pin.aes'), 'wrong' + b.pins['aes'] + '\n')
    b.start()
    need(b.told('the token refuses the PIN', 'aes'), 'the log does not say that the PIN is wrong')
    for _ in range(2):
        same(b.opening(), set(ALL) - {'aes'}, 'those that open')
    same(len(b.told('the token refuses the PIN', 'aes')), 1, 'how often the token was asked with a wrong PIN')
    b.all_are_found()
    need('wrong' + b.pins['aes'] not in b.log_text(), 'the wrong PIN is in the log')
    same(b.stop(), 0, 'exit status')
    put(b.path('pin.aes'), b.pins['aes'] + '\n')


def gone_and_back(b):
    step('a token is gone, and comes back')
    b.start()
    with b.tokens.away(TOKEN['rsa']):
        same(b.opening(), set(ALL) - {'rsa'}, 'those that open')
        need(b.told('no token with this label is there', 'rsa'), 'the log does not say that the token is away')
        b.all_are_found()
    same(b.opening(), set(ALL), 'those that open when it is back')


def prompt(what, function, *args):
    began = time.monotonic()
    value = function(*args)
    took = time.monotonic() - began
    need(took < PROMPT, f'{what} took {took:.1f} s')
    return value


def pulled_out(b):
    """A TPM that ends, and one that does not answer."""
    step('the TPM ends, or hangs, while the vault serves')
    b.tpm.end()
    same(b.opening(), set(ALL) - {'chip'}, 'those that open')
    need(b.told('cannot be reached', 'chip'), 'the log does not say that the TPM is away')
    prompt('an erasure', b.erase, 'fred')
    b.all_are_found()
    b.tpm.start()
    same(b.opening(), set(ALL), 'those that open when it is back')
    hangs(b)


def hangs(b):
    b.tpm.process.send_signal(signal.SIGSTOP)
    b.conf['seal spare'] = {'kind': 'tpm', 'path': 'spare', 'tcti': b.tpm.tcti}
    b.write_conf()
    try:
        prompt('a reload', b.reload)
        need(not b.seals()['spare']['used'], 'a seal in use that nobody added')
        nothing_waits(b)
        with Background(lambda: b.cli('seal', 'test', expect=None)):
            time.sleep(1)
            nothing_waits(b)
            prompt('a reload', b.reload)
            prompt('an erasure', b.erase, 'gerd')
            b.tpm.process.send_signal(signal.SIGCONT)
        same(b.opening(), set(ALL), 'those that open when it answers again')
        b.tpm.process.send_signal(signal.SIGSTOP)
        asked = threading.Thread(target=b.cli, args=('seal', 'test'), kwargs={'expect': None}, daemon=True)
        asked.start()
        time.sleep(1)
        same(prompt('the end', b.stop), 0, 'exit status')
    finally:
        b.tpm.process.send_signal(signal.SIGCONT)
    need('hangs' in b.log_text(b.lives), 'the log does not say what hung')
    asked.join(PATIENCE)
    del b.conf['seal spare']


def nothing_waits(b):
    prompt('look-ups', b.all_are_found)
    prompt('a list of the seals', b.seals)
    prompt('the status', b.status)
    prompt('the metrics', b.metric, 'pdvault_seals_failing')


def locked_out(b):
    """Nothing that the vault keeps in the TPM has a password, so that nobody's failed tries can keep it shut."""
    step('the TPM is locked out after failed tries')
    b.start()
    b.tpm.lock_out()
    same(b.opening(), set(ALL), 'those that open while it is')
    same(b.stop(), 0, 'exit status')
    with b.only('chip'):
        b.start()
        b.all_are_found()
        same(b.stop(), 0, 'exit status')
    b.tpm.unlock()


def swap(b, *names):
    """What stands at old.NAME and at NAME."""
    for n in names:
        os.rename(b.path(n), b.path('swap'))
        os.rename(b.path(f'old.{n}'), b.path(n))
        os.rename(b.path('swap'), b.path(f'old.{n}'))


OLD = 'an old state was put back'


def rolled_back(b):
    step('an old file of the TPM is put back')
    swap(b, 'chip')
    b.start()
    need(b.told(OLD, 'chip'), 'the log does not say that an old state was put back')
    same(b.opening(), set(ALL) - {'chip'}, 'those that open')
    same(b.stop(), 0, 'exit status')
    with b.only('chip'):
        b.refuses(1, 'SEAL_UNAVAILABLE')
        need(b.told(OLD, 'chip'), 'the log does not say that an old state was put back')

        step('with it the store and the anchor, so that an erased person would be back')
        swap(b, 'store', 'anchor')
        b.refuses(1, 'SEAL_UNAVAILABLE')
        need(b.told(OLD, 'chip'), 'the log does not say that an old state was put back')

        step('and the whole state of the TPM, which one in software allows: they are back')
        b.tpm.keep('new.tpm')
        b.tpm.back('old.tpm')
        b.start()
        b.finds('ada')
        same(b.stop(), 0, 'exit status')
    b.tpm.back('new.tpm')
    swap(b, 'chip', 'store', 'anchor')
    b.start()
    b.all_are_found()
    same(b.opening(), set(ALL), 'those that open')


def removed(b):
    step('one is removed while its token is away: it is said, and can be done again')
    with b.tokens.away(TOKEN['rsa']):
        a = b.cli('seal', 'remove', 'rsa', '--json', expect=None)
        need(a.status != 0 and 'SEAL_UNAVAILABLE' in a.out, f'its key was not destroyed: {a.out}{a.err}')
        need(not b.seals()['rsa']['used'], 'it is still in use')
    same(len(b.tokens.objects(TOKEN['rsa'])), 2, 'keys in the token that was away')
    b.cli('seal', 'add', 'rsa')
    same(b.opening(), set(ALL), 'those that open')

    step('they are removed, and leave nothing in their devices')
    for n, name in enumerate(DEVICES):
        same(b.cli('seal', 'remove', name, '--json').json['state'], 'done', f'the job that removes {name}')
        need(not os.path.exists(b.path(name)), f'the file of {name} is still there')
        same({n for n, s in b.seals().items() if s['used']}, {'file', *DEVICES[n + 1:]}, 'the seals')
    same([b.tokens.objects(t) for t in TOKEN.values()], [[], []], 'what is left in the tokens')
    same(b.tpm.counters(), [], 'counters in the TPM')
    same(b.cli('seal', 'remove', 'file', expect=None).status, 1, 'the last that opens')
    need(os.path.exists(b.path('key')), 'the last key file is gone')
    same(b.stop(), 0, 'exit status')
    for name in DEVICES:
        del b.conf[f'seal {name}']
    b.start()
    b.all_are_found()
    same(b.stop(), 0, 'exit status')
    b.quiet('people.example', *b.pins.values())


def run(bin):
    with Bench(bin) as b, b.tpm:
        added(b)
        renewed(b)
        alone(b)
        wrong_pin(b)
        gone_and_back(b)
        pulled_out(b)
        locked_out(b)
        rolled_back(b)
        removed(b)
        say(f'{b.lives} lives')


main(run)
