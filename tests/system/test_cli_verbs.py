#!/usr/bin/python3
"""Every verb of the operators' tool against a real vault: what it prints, and each exit status."""
import base64
import hashlib
import json
import os
import pty
import subprocess

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

import bed
from bed import need, same, step

UNKNOWN = 'sub_aaaqaaaaaaaaaaaaaaaaaaaaaa'	# of vault number 1, and nobody's
IDENTITY = {
    'name': {'full': 'Ottilie Marten', 'given': 'Ottilie', 'family': 'Marten'},
    'emails': ['Ottilie.Marten@example.com'], 'phones': ['+49 30 5550 1234'], 'locale': 'de',
    'date_of_birth': '1980-02-29', 'account_ids': ['verbs-1'],
    'postal_addresses': [{'label': 'home', 'lines': ['Hof 3', 'links'], 'locality': 'Berlin ',
                          'country': 'DE'}],
    'attributes': {'fax': '030 5550', 'plan': 'gold'},
}
BILLING = {
    'legal_name': 'Marten GmbH', 'tax_id': 'DE 5550', 'processor': 'acme',
    'payment_methods': [{'brand': 'visa', 'last_four': '4242', 'expiry_month': 12,
                         'expiry_year': 2031, 'token': 'tok-5550'}],
}
SALES = [{'id': f's{n}', 'time': '2024-02-29T12:00:00.5Z', 'amount_minor': n * 10**15 - 7,
          'currency': 'EUR', 'status': 'paid'} for n in range(450)]


def text(value):
    return json.dumps(value)


def failure(answer, code, reason=None):
    same(answer.error['code'], code, 'code')
    if reason is not None:
        same(answer.error['reason'], reason, 'reason')
    return answer.error


def reading(b):
    step('create, get, find')
    answer = b.cli('subject', 'create', '--input', '-', '--json',
                   text=text({'identity': IDENTITY, 'billing': BILLING}))
    subject = answer.json['subject']
    got = b.cli('subject', 'get', subject, '--json').json
    same((got['subject'], got['state']), (subject, 'ACTIVE'), 'subject and state')
    same(got['identity'], IDENTITY, 'identity')
    same(got['billing'], BILLING, 'billing')
    shown = b.cli('subject', 'get', subject).out
    need('locality: Berlin \n' in shown and 'plan: gold' in shown, 'text for people')
    for flag, value in (('--email', ' OTTILIE.marten@EXAMPLE.com '), ('--phone', '+49 (30) 5550-1234'),
                        ('--account', 'verbs-1')):
        same(b.cli('subject', 'find', flag, value, '--json').json,
             {'subject': subject, 'subjects': [subject]}, flag)
        same(b.cli('subject', 'find', flag, '-', '--json', text=value + '\n').json['subject'], subject,
             f'{flag} from standard input')
    return subject


def writing(b, subject):
    step('update, with mask and etag')
    etag = b.cli('subject', 'get', subject, '--json').json['identity_etag']
    change = {'identity': {'phones': []}, 'update_mask': ['phones', 'locale'], 'etag': etag}
    b.cli('subject', 'update', subject, '--input', '-', text=text(change))
    failure(b.cli('subject', 'update', subject, '--input', '-', '--json', text=text(change), expect=7),
            'ABORTED', 'ETAG_MISMATCH')
    got = b.cli('subject', 'get', subject, '--json').json['identity']
    need('phones' not in got and 'locale' not in got and got['emails'] == IDENTITY['emails'], 'mask')
    b.cli('billing', 'update', subject, '--input', '-', '--mask', 'tax_id', text='{}')
    got = b.cli('billing', 'get', subject, '--json').json
    need('tax_id' not in got['billing'] and got['billing']['processor'] == 'acme', 'billing mask')

    step('transactions, all pages')
    same(b.cli('transaction', 'append', subject, '--input', '-', '--json', text=text(SALES)).json,
         {'appended': 450, 'unchanged': 0}, 'append')
    same(b.cli('transaction', 'append', subject, '--input', '-', '--json',
               text=text({'transactions': SALES[:3]})).json, {'appended': 0, 'unchanged': 3}, 'again')
    same(b.cli('transaction', 'list', subject, '--json').json, {'transactions': SALES}, 'list')
    page = b.cli('transaction', 'list', subject, '--limit', '201', '--json').json
    rest = b.cli('transaction', 'list', subject, '--page-token', page['next_page_token'],
                 '--json').json
    same(page['transactions'] + rest['transactions'], SALES, 'two parts of the list')
    failure(b.cli('transaction', 'append', subject, '--input', '-', '--json', expect=7,
                  text=text({**SALES[0], 'amount_minor': 1})), 'ALREADY_EXISTS')


def wrong_input(b, subject):
    step('input that is refused names the field, and never the value')
    secret = 'Zebedee-5550'
    for verb, document, field in (
            (('subject', 'create'), {'identity': {'emials': [secret]}}, 'identity.emials'),
            (('subject', 'create'), {'identity': {'emails': [secret]}}, 'identity.emails[0]'),
            (('subject', 'create'), {'identity': {'date_of_birth': secret}}, 'identity.date_of_birth'),
            (('subject', 'update', subject), {'identity': {'name': {'full': 5}}}, 'identity.name.full'),
            (('subject', 'update', subject), {'update_mask': [secret]}, 'update_mask'),
            (('billing', 'update', subject), {'payment_methods': [{'card_number': secret}]},
             'billing.payment_methods[0].card_number')):
        answer = b.cli(*verb, '--input', '-', '--json', text=text(document), expect=8)
        same(failure(answer, 'INVALID_ARGUMENT')['violations'][0]['field'], field, 'field')
        need(secret not in answer.out + answer.err, f'a value is shown with {field}')
    b.cli('subject', 'create', '--input', '-', text='{"identity": ', expect=8)
    failure(b.cli('subject', 'create', '--input', '-', '--json', expect=7,
                  text=text({'identity': {'emails': IDENTITY['emails']}})), 'ALREADY_EXISTS')


def exit_codes(b, subject):
    step('exit statuses')
    b.cli('subject', 'get', UNKNOWN, expect=3)
    b.cli('subject', 'get', 'sub_7777777777777777777777777y', expect=3)	# of another vault
    b.cli('subject', 'get', 'sub_7777777777777777777777777z', expect=8)	# not 128 bits
    failure(b.cli('subject', 'get', 'sub_x', '--json', expect=8), 'INVALID_ARGUMENT', 'MALFORMED_ID')
    b.cli('subject', 'find', '--account', 'nobody', expect=3)
    b.cli('erasure', 'get', 'era_' + 'a' * 26, expect=3)
    b.cli('subject', 'fnid', expect=2)
    for scope in (('--seal', 'file'), ('--retire',), ('--category', 'usage'), ('--older-than', '1d')):
        b.cli('key', 'rotate', 'all', *scope, expect=2)
    b.cli('status', '--timeout', '300ms', expect=6, env={'PDVAULT_SERVER': 'tls+tcp://127.0.0.1:1'})
    b.cli('status', expect=2, env={'PDVAULT_KEY': b.path('nothing')})
    b.cli('health', '--json')
    for words in ((), ('subject',), ('subject', 'erase'), ('import',)):
        need('Exit codes:' in b.cli(*words, '--help').out, 'help')
    b.cli('subject', 'create', '--input', '-', expect=0, text='{"identity": {}}')
    full = subprocess.run([os.path.join(b.bin, 'pdvault'), 'subject', 'get', subject], check=False,
                          env={**os.environ, **b.settings()}, stdout=open('/dev/full', 'wb'),
                          stderr=subprocess.DEVNULL)
    same(full.returncode, 1, 'a full disk behind standard output')


def on_a_terminal(b, subject, answer):
    """`subject erase` with a terminal: its exit status and what it shows."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen([os.path.join(b.bin, 'pdvault'), 'subject', 'erase', subject],
                            env={**os.environ, **b.settings()}, stdin=theirs,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(ours, answer)
    out, err = done.communicate(timeout=bed.PATIENCE)
    os.close(theirs)
    os.close(ours)
    need('Type yes' in err, 'it asks')
    return done.returncode, out


def erasing(b, subject):
    step('erase')
    b.cli('subject', 'erase', subject, '--category', 'biling', expect=2)
    b.cli('subject', 'erase', subject, '--category', 'billing', '--yes')
    need('billing' not in b.cli('subject', 'get', subject, '--json').json, 'billing is gone')
    failure(b.cli('billing', 'get', subject, '--json', expect=4), 'FAILED_PRECONDITION',
            'CATEGORY_ERASED')
    same(on_a_terminal(b, subject, b'no\n')[0], 1, 'not confirmed')
    b.cli('subject', 'get', subject)
    status, out = on_a_terminal(b, subject, b'yes\n')
    same(status, 0, 'confirmed')
    erasure = out.split()[1]
    got = b.cli('erasure', 'get', erasure, '--json').json
    same((got['subject'], got['state']), (subject, 'FINAL'), 'erasure')
    for verb in (('subject', 'get'), ('billing', 'get'), ('transaction', 'list')):
        b.cli(*verb, subject, expect=4)
    status = b.cli('status', '--json').json
    need({'epoch', 'subjects', 'erased', 'anchor_class', 'uptime_seconds'} <= set(status), 'status')
    same(status['ledger_entries'], 2, 'entries of the ledger')
    proven(status, got, sequence=2, final=1)


def proven(status, answer, sequence, final):
    """The proof of an erasure, verified from docs/FORMAT.md alone; not with a bit of it changed."""
    entry, signature = (bytes.fromhex(answer['ledger'][name]) for name in ('entry', 'signature'))
    key = VerifyKey(bytes.fromhex(status['signing_key']))
    same(int.from_bytes(entry[:8], 'big'), sequence, 'sequence')
    same('sub_' + base64.b32encode(entry[32:48]).decode().lower().rstrip('='), answer['subject'], 'subject')
    same((int.from_bytes(entry[8:16], 'big'), entry[66]), (answer['epoch'], final), 'epoch, final')
    said = b'pdvault ledger 1' + bytes.fromhex(status['vault'])
    key.verify(said + hashlib.blake2b(entry, digest_size=32).digest(), signature)
    other = bytes([entry[0] ^ 1]) + entry[1:]
    try:
        key.verify(said + hashlib.blake2b(other, digest_size=32).digest(), signature)
    except BadSignatureError:
        return
    need(False, 'the signature fits another entry, too')


def run(bin):
    with bed.Bed(bin) as b:
        b.init()
        b.start()
        subject = reading(b)
        writing(b, subject)
        wrong_input(b, subject)
        exit_codes(b, subject)
        erasing(b, subject)
        b.quiet('Ottilie', 'Marten', 'Zebedee')


bed.main(run)
