#!/usr/bin/python3 -B
"""F5: marker plaintext (names, emails, phones, an IBAN) in files, logs and memory, in UTF-8, UTF-16, base64 and
hexadecimal, after requests that went well, that were refused, and that were cut off. Files and logs must be
clean. Of memory: what the vault itself has must be clean; what TLS and the messaging library left behind in
buffers of theirs is listed.
"""
import json
import os

import lab
import marks
from bed import held, main, need, same, say, step
import wire

MARKS = {
    'name': 'Mårker Öfthe Fjords',
    'email': 'marker.of.fjords@fjords.example',
    'phone': '+47 555 010 9921',
    'iban': 'NO93 8601 1117 9947 0031',
    'tax': 'TAX-FJORD-77120',
    'account': 'account-of-fjords-1',
    'street': 'Fjordveien 4711 B',
}
# What is looked up in another form than it was given in.
NORMALISED = ['475550109921', 'MARKER.OF.FJORDS@FJORDS.EXAMPLE']


def identity():
    return {'name': {'full': MARKS['name']}, 'emails': [MARKS['email']], 'phones': [MARKS['phone']],
            'account_ids': [MARKS['account']], 'attributes': {'iban': MARKS['iban']},
            'postal_addresses': [{'lines': [MARKS['street']]}]}


def requests(b):
    """All methods, with every kind of outcome; the subject that comes of it."""
    subject = b.create(identity(), {'legal_name': MARKS['name'], 'tax_id': MARKS['tax']})
    b.cli('subject', 'get', subject)
    b.cli('transaction', 'append', subject, '--input', '-', text=json.dumps({'transactions': [
        {'id': MARKS['iban'], 'time': '2024-01-01T00:00:00Z', 'currency': 'NOK', 'amount_minor': 1,
         'description': MARKS['name'], 'invoice_reference': MARKS['iban']}]}))
    b.cli('transaction', 'list', subject)
    for how, what in (('email', 'email'), ('phone', 'phone'), ('account', 'account')):
        b.cli('subject', 'find', f'--{how}', '-', text=MARKS[what])
        b.cli('subject', 'find', f'--{how}', '-', text='nobody' + MARKS[what], expect=None)
    b.cli('subject', 'update', subject, '--input', '-', text=json.dumps({'identity': {'locale': 'no'}}))
    # Refused: taken, too long, a wrong form, a stale etag, no right.
    b.cli('subject', 'create', '--input', '-', expect=7, text=json.dumps({'identity': identity()}))
    for spoiled in ({'name': {'full': MARKS['name'] * 20}}, {'emails': [MARKS['name']]},
                    {'phones': [MARKS['email']]}):
        b.cli('subject', 'create', '--input', '-', expect=8,
              text=json.dumps({'identity': {**identity(), 'emails': [], **spoiled}}))
    b.cli('subject', 'update', subject, '--input', '-', expect=7, text=json.dumps(
        {'identity': {'name': {'full': MARKS['name']}}, 'etag': '999'}))
    b.cli('subject', 'create', '--input', '-', expect=5, who='reader', text=json.dumps({'identity': identity()}))
    cut_off(b)
    return subject


def cut_off(b):
    """Malformed messages with markers, and a connection that ends within one."""
    body = wire.field(1, wire.field(1, wire.field(1, MARKS['name'])) + wire.field(2, MARKS['email']))
    whole = wire.request('Vault.CreateSubject', body, os.urandom(16))
    with wire.Peer(b) as p:
        p.ask(whole[:-20])
        p.call('Vault.CreateSubject', body + b'\xff', mutates=True)
        p.call(f'Vault.{MARKS["account"]}', body)
    with wire.Peer(b) as p:
        p.socket.sendall((len(whole) + 4).to_bytes(8, 'big') + b'\x80\0\0\1' + whole[:-30])


def in_files(b, when):
    """No marker in any file of the vault; the tool's own copies are not the vault's."""
    texts = [*MARKS.values(), *NORMALISED]
    names = b.files()
    for name in names:
        with open(b.path(name), 'rb') as f:
            found = marks.found(f.read(), texts)
        need(not found, f'F5: {when}: {found} in {name}')
    b.quiet(*MARKS.values())
    say(f'{when}: {len(names)} files are clean')


def without_zeros(data):
    """Most pages of an image are nothing but zeros, and hold no marker."""
    pages = (data[i:i + 4096] for i in range(0, len(data), 4096))
    return b''.join(page for page in pages if page.strip(b'\0'))


def in_memory(b, when):
    """Where markers are in the server's memory: {part: {(marker, form)}}."""
    texts = [*MARKS.values(), *NORMALISED]
    labels = [*MARKS, 'phone, normalised', 'email, upper']
    found = {}
    parts = b.image('image')
    with open(b.path('image'), 'rb') as f:
        for at, length, name in parts:
            f.seek(at)
            for i, form in marks.found(without_zeros(f.read(length)), texts):
                found.setdefault(os.path.basename(name), set()).add((labels[i], form))
    say(f'{when}: memory: ' + ('clean' if not found else ''))
    for name, what in sorted(found.items()):
        say(f'   {name}: {", ".join(f"{m} ({form})" for m, form in sorted(what))}')
    return found


def control(b):
    """The search sees the memory: the vault's own configuration is there to be found."""
    with open(b.path('image'), 'rb') as f:
        need(b.pki.path('server.pem').encode() in f.read(), 'the image does not hold what it must')


def run(bin):
    lab.check_build(bin)
    with lab.Lab(bin) as b:
        b.init()
        b.start()
        for i in range(12):		# pages half full: what an aborted batch left in one is not written over
            b.create({'name': {'full': f'Somebody Before {i}'}, 'emails': [f'before{i}@else.example']})
        step('F5: requests of every kind')
        subject = requests(b)
        in_files(b, 'live')
        in_memory(b, 'live')
        control(b)
        step('F5: the person is erased')
        b.cli('subject', 'erase', subject, '--yes')
        in_files(b, 'erased')
        left = in_memory(b, 'erased')
        control(b)
        step('F5: after other requests and a kill')
        for i in range(30):
            b.create({'name': {'full': f'Somebody Else {i}'}, 'emails': [f'else{i}@else.example']})
        in_memory(b, 'later')
        b.kill()
        in_files(b, 'killed')
        b.start()
        in_files(b, 'started again')
        fresh = in_memory(b, 'started again')
        need(not fresh, 'F5: a server that was never told the markers knows them')
        same(b.stop(), 0, 'exit status')
        in_files(b, 'stopped')
        need(not left, f'F5: markers are left in {left}')
    held(5, 'files, logs and memory, live, erased, killed and started again')


main(run)
