#!/usr/bin/python3
"""Files that die with a subject, by the real programs: a large one sealed and opened again, damaged, cut off, put
elsewhere; and after the erasure it does not open, in the tool at once, in a service that keeps opened keys after the
time that is promised, or as soon as any answer tells it.
"""
import filecmp
import os
import resource
import signal
import stat
import subprocess
import time

import bed
from bed import need, same, say, step

LARGE = 100_000_000
HEADER, CHUNK = 61 + 6 + 124 + 24, 65553
FAILED, USAGE, NOT_FOUND, ERASED, INVALID = 1, 2, 3, 4, 8


class Service:
    """A process of the library that stays alive."""

    def __init__(self, b, cache_ms):
        self.process = subprocess.Popen([os.path.join(b.bin, 'system_blob'), str(cache_ms)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env={**os.environ, **b.settings()})

    def ask(self, *words):
        self.process.stdin.write(' '.join(words) + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        same(self.process.wait(bed.PATIENCE), 0, 'exit status of the service')
        self.process.stdout.close()


def write(path, content):
    with open(path, 'wb') as f:
        f.write(content)


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def alone(b, *names):
    """Nothing unfinished lies beside these."""
    same(sorted(os.listdir(b.path('blobs'))), sorted(names), 'files')


def large(b, subject, place):
    step('a large file, sealed and opened again')
    write(place('data'), os.urandom(LARGE))
    start = time.monotonic()
    done = b.cli('blob', 'seal', place('data'), place('sealed'), '--subject', subject, '--category', 'content',
                 '--context', 'chat 1', '--json').json
    middle = time.monotonic()
    same(done, {'subject': subject, 'category': 'CONTENT', 'read': LARGE, 'written': os.path.getsize(place('sealed'))},
         'what sealing says')
    same(done['written'], HEADER + LARGE + 17 * -(-LARGE // 65536), 'length of the blob')
    done = b.cli('blob', 'open', place('sealed'), place('opened'), '--json').json
    same((done['subject'], done['category'], done['written']), (subject, 'CONTENT', LARGE), 'what opening says')
    say(f'{LARGE} bytes: sealed in {middle - start:.2f} s, opened in {time.monotonic() - middle:.2f} s')
    need(filecmp.cmp(place('data'), place('opened'), shallow=False), 'what was opened is not what was sealed')
    for name in ('sealed', 'opened'):
        same(stat.S_IMODE(os.stat(place(name)).st_mode), 0o600, f'mode of {name}')
    alone(b, 'data', 'sealed', 'opened')


def streams(b, subject, place):
    step('standard streams, of unknown length, and an empty one')
    tool, environment = [os.path.join(b.bin, 'pdvault'), 'blob'], {**os.environ, **b.settings()}
    for data in (b'', b'text', os.urandom(3 << 20)):
        sealed = subprocess.run([*tool, 'seal', '-', '-', '--subject', subject, '--category', 'usage'], input=data,
                                stdout=subprocess.PIPE, env=environment, check=True).stdout
        opened = subprocess.run([*tool, 'open', '-', '-', '--json'], input=sealed, stdout=subprocess.PIPE,
                                env=environment, check=True).stdout
        same(opened, data, 'through pipes')
    done = subprocess.run([*tool, 'open', '-', '-'], input=sealed[:-1], capture_output=True, env=environment, check=False)
    same(done.returncode, FAILED, 'exit status when the last byte lacks')
    need(data.startswith(done.stdout) and len(done.stdout) == 3 << 20 or len(done.stdout) % 65536 == 0,
         'what came out is no beginning')


def bad_blobs(b, subject, place):
    step('damaged, cut off, in another order, no blob: nothing is written')
    write(place('small'), os.urandom(12 * 65536 + 100))
    b.cli('blob', 'seal', place('small'), place('bad'), '--subject', subject, '--category', 'content', '--context', 'chat 1')
    sealed = read(place('bad'))
    first, second = sealed[HEADER:HEADER + CHUNK], sealed[HEADER + CHUNK:HEADER + 2 * CHUNK]
    cases = [
        ('BLOB_DAMAGED', FAILED, sealed[:-1]),
        ('BLOB_DAMAGED', FAILED, sealed + b'\0'),
        ('BLOB_TRUNCATED', FAILED, sealed[:HEADER + 5 * CHUNK]),
        ('BLOB_TRUNCATED', FAILED, sealed[:HEADER + 12 * CHUNK]),
        ('BLOB_TRUNCATED', FAILED, sealed[:HEADER - 1]),
        ('BLOB_TRUNCATED', FAILED, b''),
        ('BLOB_DAMAGED', FAILED, sealed[:HEADER] + second + first + sealed[HEADER + 2 * CHUNK:]),
        ('BLOB_DAMAGED', FAILED, sealed[:5000] + bytes([sealed[5000] ^ 1]) + sealed[5001:]),
        ('BLOB_DAMAGED', FAILED, sealed[:40] + bytes([sealed[40] ^ 1]) + sealed[41:]),
        ('DATA_KEY_INVALID', INVALID, sealed[:99] + bytes([sealed[99] ^ 1]) + sealed[100:]),
        ('DATA_KEY_INVALID', INVALID, sealed[:27] + b'chat 2' + sealed[33:]),
        ('SUBJECT_NOT_FOUND', NOT_FOUND, sealed[:23] + bytes([sealed[23] ^ 1]) + sealed[24:]),
        ('BLOB_NOT_ONE', INVALID, b'PDVBLOB1' + sealed[8:]),
    ]
    write(place('opened'), b'what stood here')
    for reason, status, content in cases:
        write(place('bad'), content)
        same(b.cli('blob', 'open', place('bad'), place('opened'), '--json', expect=status).error['reason'], reason,
             'reason')
    same(read(place('opened')), b'what stood here', 'what stood there')
    write(place('bad'), sealed)
    b.cli('blob', 'open', place('bad'), place('opened'))
    need(filecmp.cmp(place('small'), place('opened'), shallow=False), 'in place of what stood there')
    os.remove(place('bad'))
    os.remove(place('small'))
    alone(b, 'data', 'sealed', 'opened')


def wrong_words(b, subject, place):
    step('command lines that cannot be meant')
    for words in (['seal', place('data'), place('x')], ['seal', place('data'), place('x'), '--subject', subject],
                  ['seal', place('data'), place('x'), '--subject', subject, '--category', 'billing'],
                  ['seal', place('data'), place('x'), '--subject', subject, '--category', 'usage', '--context', 'c' * 257],
                  ['open', place('sealed')], ['open', place('sealed'), '/dev/null']):
        b.cli('blob', *words, expect=USAGE)
    b.cli('blob', 'open', place('nothing'), place('x'), expect=NOT_FOUND)
    b.cli('blob', 'open', place('sealed'), place('no/x'), expect=FAILED)
    need(os.path.exists('/dev/null') and not os.path.isfile('/dev/null'), '/dev/null')
    alone(b, 'data', 'sealed', 'opened')


def ended(b, place):
    step('ended in the middle: nothing unfinished stays')
    os.mkfifo(place('pipe'))
    tool = subprocess.Popen([os.path.join(b.bin, 'pdvault'), 'blob', 'open', place('pipe'), place('ended')],
                            env={**os.environ, **b.settings()}, stderr=subprocess.DEVNULL)
    with open(place('pipe'), 'wb') as pipe:
        pipe.write(read(place('sealed'))[:10_000_000])
        pipe.flush()
        bed.soon(lambda: any(n.startswith('ended.') and os.path.getsize(place(n)) > 1 << 20
                             for n in os.listdir(b.path('blobs'))), 'it writes')
        tool.send_signal(signal.SIGTERM)
        same(tool.wait(bed.PATIENCE), -signal.SIGTERM, 'how it ended')
    os.remove(place('pipe'))
    alone(b, 'data', 'sealed', 'opened')


def memory(b, subject, place):
    step('constant memory')
    used = []
    for size in (4 << 20, LARGE):
        with open(place('data'), 'rb') as data:
            tool = subprocess.Popen([os.path.join(b.bin, 'pdvault'), 'blob', 'seal', '-', '-', '--subject', subject,
                                     '--category', 'content'], env={**os.environ, **b.settings()},
                                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            tool.stdin.write(data.read(size))
            tool.stdin.flush()
            with open(f'/proc/{tool.pid}/status', encoding='ascii') as status:
                used += [int(line.split()[1]) for line in status if line.startswith('VmHWM:')]
            tool.stdin.close()
            same(tool.wait(bed.PATIENCE), 0, 'exit status')
    say(f'{used[0]} kB for 4 MiB, {used[1]} kB for {LARGE} bytes')
    need(used[1] < used[0] + 8192, 'it takes more memory for more data')


def erased(b, place):
    step('erased: the tool at once, a service after its time')
    subject = b.create({'emails': ['keeper@example.com']})
    other = b.create({'emails': ['other@example.com']})
    for who, name in ((subject, 'mine'), (other, 'others')):
        b.cli('blob', 'seal', place('data'), place(name), '--subject', who, '--category', 'content')
    with Service(b, 3000) as short, Service(b, 3600000) as told, Service(b, 3600000) as asking:
        for service in (short, told, asking):
            same(service.ask('open', place('mine')), f'OK {LARGE}', 'before')
            same(service.ask('open', place('others')), f'OK {LARGE}', 'before')
        same(short.ask('open', place('mine')), f'OK {LARGE}', 'the key is kept')
        opened = time.monotonic()
        b.cli('subject', 'erase', subject, '--yes')
        b.cli('blob', 'open', place('mine'), place('x'), expect=ERASED)
        b.cli('blob', 'seal', place('data'), place('x'), '--subject', subject, '--category', 'content', expect=ERASED)
        # Within the time it may open; when the time that is promised is over it does not.
        time.sleep(max(0, opened + 3.1 - time.monotonic()))
        same(short.ask('open', place('mine')), 'FAILED_PRECONDITION SUBJECT_ERASED', 'after the time')
        same(short.ask('open', place('others')), f'OK {LARGE}', 'another subject')
        # These would keep it for an hour, but an answer tells of the erasure.
        same(told.ask('open', place('mine')), f'OK {LARGE}', 'within its time')
        same(told.ask('identity', subject), 'FAILED_PRECONDITION SUBJECT_ERASED', 'what tells it')
        same(told.ask('open', place('mine')), 'FAILED_PRECONDITION SUBJECT_ERASED', 'told')
        same(told.ask('open', place('others')), f'OK {LARGE}', 'another subject')
        same(asking.ask('erase', other), 'OK', 'erases itself')
        same(asking.ask('open', place('others')), 'FAILED_PRECONDITION SUBJECT_ERASED', 'told by its own')
        same(asking.ask('open', place('mine')), f'OK {LARGE}', 'and of that one it was not told')
    b.stop()
    b.start()
    for name in ('mine', 'others'):
        b.cli('blob', 'open', place(name), place('x'), expect=ERASED)


def erased_in_part(b, place):
    step('one category erased: the other opens, and takes nothing new')
    subject = b.create({'emails': ['part@example.com']})
    for category in ('content', 'usage'):
        b.cli('blob', 'seal', place('data'), place(category), '--subject', subject, '--category', category)
    b.cli('subject', 'erase', subject, '--category', 'content', '--yes')
    b.cli('blob', 'open', place('content'), place('x'), expect=ERASED)
    b.cli('blob', 'open', place('usage'), place('y'))
    need(filecmp.cmp(place('data'), place('y'), shallow=False), 'what is retained opens')
    error = b.cli('blob', 'seal', place('data'), place('x'), '--subject', subject, '--category', 'usage', '--json',
                  expect=FAILED).error
    same(error['reason'], 'SUBJECT_RETAINED', 'reason')
    need(not os.path.exists(place('x')), 'nothing was written')


def run(bin):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with bed.Bed(bin) as b:
        b.init()
        b.start()
        os.mkdir(b.path('blobs'), 0o700)

        def place(name):
            return b.path('blobs', name)
        subject = b.create({'emails': ['person@example.com']})
        large(b, subject, place)
        streams(b, subject, place)
        bad_blobs(b, subject, place)
        wrong_words(b, subject, place)
        ended(b, place)
        memory(b, subject, place)
        erased(b, place)
        erased_in_part(b, place)


bed.main(run)
