#!/usr/bin/python3 -B
"""The main job: a customer export goes in over TLS, every value comes back the same, everybody is found,
one is updated, one is erased and gone for every method and from every file. With the Chinook export
where there is one, and always with the sample that the project makes itself.
"""
import concurrent.futures
import csv
import datetime
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import bed
import marks
import sample
import wire
from bed import need, same, say, step

sys.path.insert(0, os.path.join(bed.ROOT, 'tests', 'forensic'))
import invariants	# noqa: E402
import reader	# noqa: E402

MAPS = os.path.join(bed.ROOT, 'deploy', 'maps')
SHARED = os.environ.get('PDVAULT_SHARED_DATA') or os.path.join(bed.ROOT, '..', 'shared', 'data')
EXPONENT = 2		# of USD (ISO 4217)


def read_csv(path):
    with open(path, encoding='utf-8-sig', newline='') as f:
        return list(csv.DictReader(f))


def drop_empty(value):
    if isinstance(value, dict):
        found = {k: drop_empty(v) for k, v in value.items()}
        return {k: v for k, v in found.items() if v not in ('', [], {})}
    if isinstance(value, list):
        return [v for v in map(drop_empty, value) if v not in ('', [], {})]
    return value


def address(row):
    return {'organization': row['Company'], 'lines': [row['Address']], 'locality': row['City'],
            'region': row['State'], 'postal_code': row['PostalCode'], 'country': row['Country']}


def expected(row):
    """What the vault must hold of a customer: written here once more, apart from the map."""
    full = f'{row["FirstName"]} {row["LastName"]}'
    return {
        'identity': drop_empty({
            'name': {'full': full, 'given': row['FirstName'], 'family': row['LastName']},
            'emails': [row['Email']], 'phones': [row['Phone']], 'account_ids': [row['CustomerId']],
            'postal_addresses': [address(row)],
            'attributes': {'fax': row['Fax'], 'support_rep': row['SupportRepId']}}),
        'billing': drop_empty({'legal_name': full, 'billing_address': address(row)}),
    }


def expected_transaction(row):
    whole, _, part = row['Total'].partition('.')
    time_ = datetime.datetime.strptime(row['InvoiceDate'], '%Y-%m-%d %H:%M:%S')
    place = [row[c] for c in ('BillingAddress', 'BillingCity', 'BillingState', 'BillingCountry',
                              'BillingPostalCode')]
    return {'id': row['InvoiceId'], 'invoice_reference': row['InvoiceId'],
            'time': time_.strftime('%Y-%m-%dT%H:%M:%SZ'),
            'amount_minor': int(whole + part.ljust(EXPONENT, '0')), 'currency': 'USD', 'status': 'paid',
            'description': ', '.join(p for p in place if p)}


class Shop:
    """One export in one vault."""

    def __init__(self, b, folder):
        self.b, self.folder = b, folder
        self.customers = read_csv(self.file('customers.csv'))
        self.invoices = read_csv(self.file('invoices.csv'))
        self.ids = {}		# customer id -> subject

    def file(self, name):
        return os.path.join(self.folder, name)

    def bring_in(self, name, *args, **more):
        """One import; its four figures."""
        return self.b.cli('import', self.file(f'{name}.csv'), '--map',
                          os.path.join(MAPS, f'chinook-{name}.map'), '--json', *args, **more).json

    def import_twice(self):
        people, bills = len(self.customers), len(self.invoices)
        for name, count in (('customers', people), ('invoices', bills)):
            same(self.bring_in(name), {'created': count, 'updated': 0, 'unchanged': 0, 'failed': 0},
                 f'import of {name}')
        epoch = self.b.status()['epoch']
        for name, count in (('customers', people), ('invoices', bills)):
            same(self.bring_in(name), {'created': 0, 'updated': 0, 'unchanged': count, 'failed': 0},
                 f'second import of {name}')
        status = self.b.status()
        same((status['subjects'], status['erased']), (people, 0), 'counts')
        same(status['epoch'], epoch, 'epoch after an import of nothing new')
        say(f'{people} customers and {bills} invoices; nothing doubles')

    def import_json_lines(self):
        """The same people as JSON Lines from standard input: all are there already."""
        text = ''.join(json.dumps({k: v for k, v in row.items() if v}, ensure_ascii=False) + '\n'
                       for row in self.customers)
        answer = self.b.cli('import', '-', '--map', os.path.join(MAPS, 'chinook-customers.map'),
                            '--format', 'jsonl', '--json', text=text).json
        same(answer, {'created': 0, 'updated': 0, 'unchanged': len(self.customers), 'failed': 0},
             'JSON Lines')

    def everybody(self, check):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(check, self.customers))

    def find(self, how, value, expect=0):
        answer = self.b.cli('subject', 'find', f'--{how}', '-', '--json', text=value, expect=expect)
        return answer.json['subjects'] if expect == 0 else answer.error['reason']

    def read_back(self):
        def check(row):
            who = f'customer {row["CustomerId"]}'
            subject = self.find('account', row['CustomerId'])
            same(len(subject), 1, who)
            self.ids[row['CustomerId']] = subject[0]
            got = self.b.cli('subject', 'get', subject[0], '--json').json
            same(got['state'], 'ACTIVE', who)
            for part, values in expected(row).items():
                same(got[part], values, f'{part} of {who}')
            bills = self.b.cli('transaction', 'list', subject[0], '--json').json['transactions']
            mine = [expected_transaction(i) for i in self.invoices if i['CustomerId'] == row['CustomerId']]
            by_id = lambda t: t['id']
            same(sorted(bills, key=by_id), sorted(mine, key=by_id), f'transactions of {who}')
        self.everybody(check)
        same(len(set(self.ids.values())), len(self.customers), 'subjects')

    def ask(self, peer, number, value):
        """Finding without the tool, for the many ways to write a value."""
        answer = peer.call('Vault.FindSubject', wire.field(number, value))
        need(answer.code == 'OK', f'found by look-up {number}: {answer}')
        return answer.values(1)

    def find_all(self):
        with wire.Peer(self.b) as peer:
            for row in self.customers:
                me, mail, phone = self.raw(row), row['Email'], row['Phone']
                for text in (mail, mail.upper(), mail.swapcase(), f'  {mail} ', f'\t{mail.title()}\n'):
                    if '\t' in text:	# control characters are refused on the wire
                        continue
                    same(self.ask(peer, 1, text), [me], 'found by email')
                same(self.ask(peer, 3, row['CustomerId']), [me], 'found by account')
                same(self.ask(peer, 3, f'  {row["CustomerId"]} '), [me], 'found by account')
                digits = re.sub(r'\D', '', phone)
                for text in (phone, f'+{digits}', f'00{digits}', f' +{"-".join(digits)}',
                             f'+({digits[:2]}) {digits[2:5]}.{digits[5:]}') if phone else ():
                    need(me in self.ask(peer, 2, text), 'found by phone')
        for row in self.customers[:3]:
            same(self.find('email', f' {row["Email"].upper()} \n'), [self.ids[row['CustomerId']]],
                 'found by the tool')

    def raw(self, row):
        return wire.subject_id(self.ids[row['CustomerId']])

    def update(self, row):
        """One changes name and email; the old one finds nobody, and everything else stays."""
        subject = self.ids[row['CustomerId']]
        before = self.b.cli('subject', 'get', subject, '--json').json
        change = {'identity': {'name': {'full': 'New Name'}, 'emails': [f'new.{row["Email"]}']}}
        text = json.dumps({**change, 'update_mask': ['name', 'emails'], 'etag': before['identity_etag']})
        self.b.cli('subject', 'update', subject, '--input', '-', '--json', text=text)
        after = self.b.cli('subject', 'get', subject, '--json').json
        same(after['identity'], {**before['identity'], **change['identity']}, 'the updated identity')
        same(after['billing'], before['billing'], 'the billing of the updated')
        same(self.find('email', row['Email'], 3), 'SUBJECT_NOT_FOUND', 'the email of before')
        same(self.find('email', f'NEW.{row["Email"]}'), [subject], 'the new email')
        # The same again under the old etag has come too late.
        answer = self.b.cli('subject', 'update', subject, '--input', '-', '--json', text=text, expect=7)
        same(answer.error['reason'], 'ETAG_MISMATCH', 'a stale etag')
        # The export has the value of before, so the next import would put it back: one is updated.
        same(self.bring_in('customers')['updated'], 1, 'import over a change')
        same(self.b.cli('subject', 'get', subject, '--json').json['identity'], before['identity'],
             'the export is right again')

    def taken(self, one, other):
        """Nobody can have an email or account id that another has; nothing says who that is."""
        for identity in ({'emails': [one['Email'].swapcase()]}, {'account_ids': [one['CustomerId']]}):
            text = json.dumps({'identity': identity})
            for words in (['create'], ['update', self.ids[other['CustomerId']]]):
                answer = self.b.cli('subject', *words, '--input', '-', '--json', text=text, expect=7)
                same(answer.error['code'], 'ALREADY_EXISTS', 'a look-up that is taken')
                need(self.ids[one['CustomerId']] not in answer.out, 'it says who has it')

    def erase(self, row):
        subject = self.ids[row['CustomerId']]
        first = self.b.cli('subject', 'erase', subject, '--yes', '--json').json
        same(first['state'], 'SHREDDED', 'state of the erasure')
        self.gone(row, first)
        # Once more answers the first erasure.
        again = self.b.cli('subject', 'erase', subject, '--yes', '--json').json
        same(again['erasure'], first['erasure'], 'the erasure of an erased one')
        got = self.b.cli('erasure', 'get', first['erasure'], '--json').json
        same((got['subject'], got['state'], got['epoch']), (subject, 'FINAL', first['epoch']),
             'the erasure')
        status = self.b.status()
        same((status['subjects'], status['erased']), (len(self.customers) - 1, 1), 'counts')
        return first

    def gone(self, row, erasure):
        """For the tool, and for every method with its code and reason."""
        subject, raw = self.ids[row['CustomerId']], self.raw(row)
        documents = {'subject get': None, 'billing get': None, 'transaction list': None,
                     'subject update': {'identity': {'locale': 'de'}}, 'billing update': {'tax_id': 'X'},
                     'transaction append': {'transactions': [
                         {'id': '9', 'time': '2024-01-01T00:00:00Z', 'currency': 'USD'}]}}
        for words, text in documents.items():
            more = ['--input', '-'] if text else []
            answer = self.b.cli(*words.split(), subject, *more, '--json', expect=4,
                                text=json.dumps(text) if text else None)
            same(answer.error['reason'], 'SUBJECT_ERASED', words)
        for how, value in (('email', row['Email']), ('account', row['CustomerId'])):
            same(self.find(how, value, 3), 'SUBJECT_NOT_FOUND', f'find by {how}')
        identity = wire.field(4, 'de')
        moment = wire.field(2, wire.field(1, 1700000000))
        messages = {
            'GetSubject': b'', 'GetIdentity': b'', 'GetBilling': b'', 'ListTransactions': b'',
            'UpdateIdentity': wire.field(2, identity), 'UpdateBilling': wire.field(2, wire.field(3, 'X')),
            'AppendTransactions': wire.field(2, wire.field(1, 'x') + moment + wire.field(4, 'USD')),
        }
        with wire.Peer(self.b) as peer:
            for method, rest in messages.items():
                answer = peer.call(f'Vault.{method}', wire.field(1, raw) + rest,
                                   mutates=method.startswith(('Update', 'Append')))
                same((answer.code, answer.reason), ('FAILED_PRECONDITION', 'SUBJECT_ERASED'), method)
            answer = peer.call('Vault.BatchGetIdentity', wire.field(1, raw))
            outcome = dict(wire.fields(answer.values(1)[0]))
            same((wire.CODES[outcome[2]], outcome[3]), ('FAILED_PRECONDITION', b'SUBJECT_ERASED'), 'batch')
            if row['Phone']:
                answer = peer.call('Vault.FindSubject', wire.field(2, row['Phone']))
                need(raw not in answer.values(1), 'found by phone')

    def still_there(self, erased):
        def check(row):
            if row is erased:
                return
            got = self.b.cli('subject', 'get', self.ids[row['CustomerId']], '--json').json
            for part, values in expected(row).items():
                same(got[part], values, f'{part} of customer {row["CustomerId"]}')
        self.everybody(check)


def in_no_file(b, row):
    """No value of a person stands in a file of the vault or a log, in any form."""
    texts = [row[c] for c in ('LastName', 'Email', 'Phone', 'Address', 'Fax') if len(row[c]) > 7]
    need(texts, 'the person has nothing to look for')
    for name in ('anchor', 'store/data.mdb', *(f'log.{n}' for n in range(1, b.lives + 1))):
        with open(b.path(name), 'rb') as f:
            need(not marks.found(f.read(), texts), f'personal data in {name}')
    b.quiet(*texts)


def with_all_keys(b, name, shop):
    """What somebody can read who holds all files and all keys: the ids of the people, all that opens."""
    reader.copy(b.dir, b.path(name))
    vault = reader.read(b.path(name))
    text = b''.join(t for p in vault.people.values() for t in (*p.records.values(), *p.transactions.values()))
    for row in shop.customers:
        if shop.raw(row) in vault.people:
            need(row['Email'].encode() in text, f'the reader does not read customer {row["CustomerId"]}')
    return vault.people, text


def refusals(b):
    """Bad rows are told with line, field and rule, never with the value; the others are applied."""
    header = ','.join(sample.CUSTOMERS)
    lines = [header,
             '900,Good,One,,Road 1,Town,,Land,1,+49 30 5550100,,good.one@example.org,1',
             '901,Bad,Email,,Road 1,Town,,Land,1,,,SECRETVALUE,1',
             '902,"Two\nLines",X,,Road 1,Town,,Land,1,,,lines@example.org,1',
             f'903,Long,Name,,{"SECRETVALUE" * 30},Town,,Land,1,,,long@example.org,1',
             '904,Bad,Phone,,Road 1,Town,,Land,1,SECRETVALUE,,phone@example.org,1',
             '905,Taken,Email,,Road 1,Town,,Land,1,,,GOOD.ONE@example.org,1',
             '906,Stray "SECRETVALUE quote,X',
             '907,Good,Two,,Road 2,"Town, East",,Land,1,,,good.two@example.org,1']
    with open(b.path('bad.csv'), 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines) + '\n')
    answer = b.cli('import', b.path('bad.csv'), '--map', os.path.join(MAPS, 'chinook-customers.map'),
                   '--json', expect=8)
    same({k: answer.json[k] for k in ('created', 'updated', 'unchanged', 'failed')},
         {'created': 2, 'updated': 0, 'unchanged': 0, 'failed': 6}, 'figures')
    need('SECRETVALUE' not in answer.out + answer.err, 'a value is echoed')
    # The quoted line break makes the rows after it begin one line further on.
    for line, what in ((3, 'identity.emails'), (4, 'name'), (6, 'postal_addresses'), (7, 'identity.phones'),
                       (8, 'LOOKUP_TAKEN'), (9, 'STRAY_QUOTE|FIELD_COUNT')):
        told = [t for t in answer.err.split('\n') if re.search(rf'(line |:){line}\b', t)]
        need(told and any(re.search(what, t) for t in told),
             f'line {line} is not told with {what}:\n{answer.err}')
    same(b.cli('subject', 'find', '--account', '907').status, 0, 'the row after the bad ones')


def interrupted(b):
    """An import that is killed goes on, and one is what comes out; a terminal gets a progress bar."""
    count = 1500
    rows = [{'CustomerId': f'k{i}', 'FirstName': 'Kay', 'LastName': f'Nr {i}', 'Email': f'k{i}@kill.example'}
            for i in range(count)]
    sample.write_csv(b.path('many.csv'), sample.CUSTOMERS, rows)
    before = b.status()['subjects']
    command = [os.path.join(b.bin, 'pdvault'), 'import', b.path('many.csv'), '--map',
               os.path.join(MAPS, 'chinook-customers.map'), '--json', '--resume', b.path('resume')]
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env={**os.environ, **b.settings()})
    bed.soon(lambda: b.metric('pdvault_commits_total') > 0 and b.status()['subjects'] > before + 20 or
             p.poll() is not None, 'the import has begun')
    p.send_signal(signal.SIGKILL)
    p.wait()
    p.stdout.close()
    some = b.status()['subjects'] - before
    answer = b.cli(*command[1:])
    figures = answer.json
    same(figures['failed'], 0, 'failed rows after a kill')
    same(b.status()['subjects'], before + count, 'subjects after a kill and a second run')
    say(f'killed after {some} of {count}, went on: {json.dumps(figures)}')
    same(b.cli('import', b.path('many.csv'), *command[3:6]).json['unchanged'], count, 'a third run')

    master, slave = pty.openpty()
    p = subprocess.Popen(command[:6], stdout=subprocess.DEVNULL, stderr=slave,
                         env={**os.environ, **b.settings(), 'TERM': 'xterm'})
    os.close(slave)
    shown = b''
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:		# EIO: the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(master)
    same(p.wait(bed.PATIENCE), 0, 'import on a terminal')
    need(b'%' in shown and b'\r' in shown, 'no progress bar on a terminal')
    need('%' not in answer.err, 'a progress bar without a terminal')


def whole(bin, folder, erased_at):
    with bed.Bed(bin) as b:
        b.init()
        b.start()
        if folder is None:
            sample.write(b.dir)
        shop = Shop(b, folder or b.dir)
        began = time.monotonic()
        step('import, twice')
        shop.import_twice()
        shop.import_json_lines()
        step('every value reads back the same')
        shop.read_back()
        step('everybody is found')
        shop.find_all()
        step('update one')
        shop.update(shop.customers[1])
        shop.taken(shop.customers[2], shop.customers[3])
        step('erase one')
        erased = shop.customers[erased_at]
        people, text = with_all_keys(b, 'before', shop)
        need(shop.raw(erased) in people and erased['Email'].encode() in text, 'the control')
        shop.erase(erased)
        in_no_file(b, erased)
        people, text = with_all_keys(b, 'after', shop)
        same(len(people), len(shop.customers) - 1, 'people that all keys lead to')
        need(shop.raw(erased) not in people and erased['Email'].encode() not in text, 'the erased one opens')
        step('the same after a restart')
        same(b.stop(), 0, 'exit status')
        in_no_file(b, erased)
        b.start()
        shop.gone(erased, None)
        shop.still_there(erased)
        # Importing again makes a new subject of the erased: the vault keeps no trace to know them by.
        same(shop.bring_in('customers'), {'created': 1, 'updated': 0, 'unchanged': len(shop.customers) - 1,
                                          'failed': 0}, 'import after the erasure')
        need(shop.find('account', erased['CustomerId']) != [shop.ids[erased['CustomerId']]],
             'the erased one has come back')
        if folder is None:
            step('rows that are refused')
            refusals(b)
            step('an import that is killed')
            interrupted(b)
        same(b.stop(), 0, 'exit status')
        in_no_file(b, erased)
        counted = invariants.check(reader.read(b.dir))
        say(f'the independent reader finds it sound: {counted}; {time.monotonic() - began:.1f} s')


def run(bin):
    step('the sample that the project makes itself')
    whole(bin, None, 4)
    chinook = os.path.join(SHARED, 'chinook')
    if not os.path.isdir(chinook):
        say('there is no Chinook export beside the project')
        return
    step('the Chinook export')
    whole(bin, chinook, 4)


bed.main(run)
