"""A machine whose power can be cut: Debian's user-mode linux, a Linux kernel as a program. Its root is the
host's, read-only, and guest_agent.py its first process; a serial line leads there.

Its drives are loop devices over files of the host (hostfs), which brings what the guest's kernel hands to a
drive and each flush of a drive to the host, where disk_tape.c puts it on a tape. (The ubd devices of
user-mode linux 6.1 bring no flush to the host.) When the program is killed the guest's page cache is lost,
and what was queued. The files are then what a drive without a cache holds; from the tape they can be built
as a drive with a cache leaves them, of which a part is lost that no flush had made durable.
"""
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time

import guest_agent as line
import tape
from lab import bed
from bed import need

KERNEL = 'linux.uml'
MEMORY = '320M'
MODULES = '/usr/lib/uml/modules'
DRIVES = 'drives'		# a folder of the bed, with the drives' files
AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'guest_agent.py')

def check_host(*tools):
    path = f'{os.environ.get("PATH", "")}:/usr/sbin:/sbin'
    for tool in (KERNEL, 'insmod', *tools):
        if shutil.which(tool, path=path) is None:
            raise bed.Skipped(f'there is no {tool} here')


def tool(*command):
    """Runs a program of the host's; its output."""
    path = f'{os.environ["PATH"]}:/usr/sbin:/sbin'
    done = subprocess.run(command, capture_output=True, timeout=bed.PATIENCE, check=False,
                          env={**os.environ, 'PATH': path})
    need(done.returncode == 0, f'{command[0]}: {done.stderr.decode(errors="replace")}')
    return done.stdout


def living(group):
    """Processes of a group that are not dead."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
                state, _, pgrp = f.read().rpartition(')')[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state not in 'ZX':
            found.append(int(pid))
    return found


def hang_up(s):
    """Whoever waits for it wakes up, which a close alone does not do."""
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_RDWR)


class Guest:
    """From power on to power off. drives: the names of their files in the bed's folder of drives. disks: paths
    of files that are /dev/ubda and so on, where nothing need be lost."""

    def __init__(self, b, name, drives=(), disks=()):
        self.bed, self.name = b, name
        self.tape = b.path(f'{name}.tape')
        self.answers = queue.Queue()
        self.sockets, self.next = {}, 1		# connections that are carried
        self.listeners = []
        self.log = self.returncode = None
        self.gone = False
        self.lock = threading.Lock()
        self.room, self.under_way = threading.Condition(), 0	# bytes that the guest has not taken yet
        self.line, there = socket.socketpair()
        with there, open(b.path(f'{name}.console'), 'wb') as console:
            self.process = subprocess.Popen(
                self.command(there.fileno(), disks), stdin=subprocess.DEVNULL, stdout=console,
                stderr=console, start_new_session=True, pass_fds=[there.fileno()],
                env={**os.environ, 'LD_PRELOAD': os.path.join(b.bin, 'forensic_disk_tape.so'),
                     'PDV_DISK_TAPE': self.tape, 'PDV_DISKS': ':'.join(b.path(DRIVES, d) for d in drives)})
        self.threads = [threading.Thread(target=self.listen, daemon=True)]
        self.threads[0].start()
        try:
            self.answer(line.READY)
            self.module('drivers/block/loop.ko')
            self.run('mount', '-t', 'hostfs', '-o', b.path(DRIVES), 'none', b.path(DRIVES))
        except BaseException:
            self.kill()
            raise

    def command(self, fd, disks):
        return [KERNEL, f'mem={MEMORY}', f'uml_dir={self.bed.dir}', f'umid={self.name}',
                'root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', 'init=/usr/bin/python3',
                *(f'ubd{n}t={path}' for n, path in enumerate(disks)),
                'con=null', 'con0=null,fd:1', 'ssl=null', f'ssl0=fd:{fd}', '--', '-BSE', AGENT]

    # The line.

    def listen(self):
        buffer = bytearray()
        while True:
            try:
                data = self.line.recv(1 << 16)
            except OSError:
                data = b''
            if not data:
                break
            buffer += data
            for what, number, body in line.frames(buffer):
                self.hear(what, number, body)
        self.answers.put((None, b''))
        with self.room:
            self.gone = True
            self.room.notify_all()
        for s in list(self.sockets.values()):
            hang_up(s)

    def hear(self, what, number, body):
        if what in (line.READY, line.RAN):
            self.answers.put((what, body))
        elif what == line.TAKEN:
            with self.room:
                self.under_way -= number
                self.room.notify_all()
        elif what == line.LOG:
            with open(self.log, 'ab') as f:
                f.write(body)
        elif what == line.ENDED:
            self.returncode = int(body)
        elif number in self.sockets:
            try:
                if what == line.DATA:
                    self.sockets[number].sendall(body)
                else:
                    hang_up(self.sockets.pop(number))
            except OSError:
                self.sockets.pop(number, None)

    def say(self, *what):
        data = line.frame(*what)
        with self.lock:
            while data:
                piece, data = data[:line.PIECE], data[line.PIECE:]
                self.send(piece)

    def send(self, piece):
        with self.room:
            need(self.room.wait_for(lambda: self.gone or self.under_way + len(piece) <= line.WINDOW,
                                    bed.PATIENCE), 'the guest takes nothing')
            self.under_way += len(piece)
        try:
            self.line.sendall(piece)
        except OSError as e:
            raise bed.Failed('the guest is gone') from e

    def answer(self, expected):
        try:
            what, body = self.answers.get(timeout=2 * bed.PATIENCE)
        except queue.Empty:
            what, body = None, b''
        need(what == expected, f'the guest does not answer; {self.name}.console ends with {self.console()}')
        return body

    def console(self):
        with open(self.bed.path(f'{self.name}.console'), encoding='utf-8', errors='replace') as f:
            return f.read().split('\n')[-4:]

    # What can be done in it.

    def run(self, *command, expect=0):
        """Runs a command to its end: exit status and output."""
        self.say(line.RUN, 0, json.dumps(command).encode())
        status, out = json.loads(self.answer(line.RAN))
        need(expect is None or status == expect,
             f'in the guest, {" ".join(command)}: {status}: {out}; its kernel says {self.console()}')
        return status, out

    def module(self, name):
        release = os.listdir(MODULES)[0]
        self.run('insmod', os.path.join(MODULES, release, 'kernel', name))

    def mount(self, drive, folder, *options):
        self.run('mount', '-o', ','.join(['loop', *options]), self.bed.path(DRIVES, drive), folder)

    def spawn(self, command, log):
        self.log, self.returncode = log, None
        self.say(line.SPAWN, 0, json.dumps(command).encode())

    def poll(self):
        """The exit status of what was spawned, if it has ended."""
        need(self.process.poll() is None, 'the guest is gone')
        return self.returncode

    def forward(self, port):
        """A port of the host that leads to one of the guest."""
        listener = socket.create_server(('127.0.0.1', 0))
        self.listeners.append(listener)
        self.threads.append(threading.Thread(target=self.accept, args=(listener, port), daemon=True))
        self.threads[-1].start()
        return listener.getsockname()[1]

    def accept(self, listener, port):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with self.room:
                number, self.next = self.next, self.next + 1
                self.sockets[number] = s
            self.threads.append(threading.Thread(target=self.carry, args=(s, number, port), daemon=True))
            self.threads[-1].start()

    def carry(self, s, number, port):
        with s, contextlib.suppress(OSError, bed.Failed):
            self.say(line.OPEN, number, str(port).encode())
            while data := s.recv(line.PIECE):
                self.say(line.DATA, number, data)
            self.say(line.CLOSE, number)

    # The end.

    def wait_for_a_write(self):
        """To a drive: a cut right then finds work under way."""
        before, end = os.path.getsize(self.tape), time.monotonic() + bed.PATIENCE
        while os.path.getsize(self.tape) == before:
            need(time.monotonic() < end, 'nothing is written')

    def kill(self):
        """The power is cut: nothing of it runs afterwards."""
        if self.line.fileno() < 0:
            return
        group = self.process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + bed.PATIENCE
        while living(group):
            need(time.monotonic() < end, 'the guest does not die')
            time.sleep(0.001)
        for s in (*self.listeners, self.line, *list(self.sockets.values())):
            hang_up(s)
        for t in self.threads:
            t.join(bed.PATIENCE)
        for s in (*self.listeners, self.line):
            s.close()

    def wait(self):
        """bed.Bed waits for what it has killed."""

    def calls(self):
        """What the drives were told."""
        return tape.read(self.tape, cut=True)


class GuestBed(bed.Bed):
    """A vault whose server runs in a guest; its bed's files are there under the same names, read-only."""

    def __init__(self, bin):
        super().__init__(bin)
        self.guest = None
        self.boots = 0
        os.mkdir(self.path(DRIVES))

    def __exit__(self, *failure):
        try:
            return super().__exit__(*failure)
        finally:
            if self.guest is not None:
                self.guest.kill()

    def drive(self, name):
        return self.path(DRIVES, name)

    def power_on(self):
        """Starts self.guest, and mounts what is to be mounted."""
        raise NotImplementedError

    def init(self):
        self.write_conf()
        self.guest.run(*self.command('init'))

    def spawn(self, *prefix):
        need(self.process is None, 'it runs already')
        if self.guest is None:
            self.power_on()
        self.write_conf()
        self.lives += 1
        with open(self.log_path(self.lives), 'wb'):
            pass
        self.guest.spawn([*prefix, *self.command('run')], self.log_path(self.lives))
        self.process = self.guest

    def start(self, *prefix):
        super().start(*prefix)
        self.port, self.http = self.guest.forward(self.port), self.guest.forward(self.http)

    def stop(self):
        """SIGTERM, and the exit status; the guest goes on."""
        self.guest.say(line.STOP)
        bed.soon(lambda: self.guest.poll() is not None, 'the server stops')
        self.process = None
        return self.guest.returncode


def leave(calls, before, drive, variant):
    """A drive's file, from what it was when the power came on, as a drive with a cache leaves it after these
    calls. Whether there was anything in the cache."""
    disk = tape.Disk()
    disk.files[drive] = file = tape.File()
    mine = [c for c in calls if c.path == drive]
    with open(before, 'rb') as f:
        for c in mine:
            for n in range(c.offset // tape.SECTOR, (c.offset + len(c.data) + tape.SECTOR - 1) // tape.SECTOR):
                f.seek(n * tape.SECTOR)
                file.durable[n] = f.read(tape.SECTOR)
    for c in mine:
        disk.apply(c)
    _, sectors = variant(disk)[drive]
    tool('cp', '--sparse=always', before, drive)
    with open(drive, 'r+b') as f:
        for n, data in sectors.items():
            f.seek(n * tape.SECTOR)
            f.write(data)
    return disk.pending()
