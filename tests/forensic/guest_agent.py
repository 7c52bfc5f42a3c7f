"""The first process in the guest of guest.py, which has its other end. Over a serial line it carries
connections to the guest's programs, runs commands, and starts the server, whose log it sends home as it
comes.
"""
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tty

LINE = '/dev/ttyS0'
HEAD = struct.Struct('>BHH')		# what, number of the connection, length of what follows
READY, OPEN, DATA, CLOSE, RUN, RAN, SPAWN, LOG, ENDED, TAKEN, STOP = range(1, 12)
PIECE = 1024
WINDOW = 3072		# bytes on their way to the guest: its terminal holds 4096, and may stall when full
OUTPUT_MAX = 1 << 15
PATIENCE = 60


def frame(what, number=0, data=b''):
    return HEAD.pack(what, number, len(data)) + data


def frames(buffer):
    """Takes the whole ones out of a bytearray."""
    while len(buffer) >= HEAD.size:
        what, number, length = HEAD.unpack_from(buffer)
        if len(buffer) < HEAD.size + length:
            return
        data = bytes(buffer[HEAD.size:HEAD.size + length])
        del buffer[:HEAD.size + length]
        yield what, number, data


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 0x41))	# SIOCSIFFLAGS: up, running


class Agent:
    def __init__(self):
        self.line = os.open(LINE, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.line)
        self.buffer = bytearray()
        self.connections = {}		# number -> socket
        self.server = None

    def say(self, *what):
        data = frame(*what)
        while data:
            data = data[os.write(self.line, data):]

    def heard(self):
        data = os.read(self.line, 1 << 16)
        if not data:		# the test is gone, so the guest goes too: without a first process it panics
            sys.exit()
        self.say(TAKEN, len(data))
        self.buffer += data
        for what, number, data in frames(self.buffer):
            self.obey(what, number, data)

    def obey(self, what, number, data):
        if what == OPEN:
            try:
                self.connections[number] = socket.create_connection(('127.0.0.1', int(data)), PATIENCE)
            except OSError:
                self.say(CLOSE, number)
        elif what == DATA and number in self.connections:
            try:
                self.connections[number].sendall(data)
            except OSError:
                self.close(number)
        elif what == CLOSE and number in self.connections:
            self.connections.pop(number).close()
        elif what == RUN:
            self.run(json.loads(data))
        elif what == SPAWN:
            self.server = subprocess.Popen(json.loads(data), stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

        elif what == STOP and self.server is not None:
            self.server.terminate()

    def run(self, command):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
            status, out = done.returncode, done.stdout
        except (OSError, subprocess.TimeoutExpired) as e:
            status, out = -1, str(e).encode()
        self.say(RAN, 0, json.dumps([status, out[-OUTPUT_MAX:].decode(errors='replace')]).encode())

    def close(self, number):
        self.connections.pop(number).close()
        self.say(CLOSE, number)

    def logged(self):
        data = self.server.stderr.read1(PIECE)
        if data:
            self.say(LOG, 0, data)
            return
        server, self.server = self.server, None
        self.say(ENDED, 0, str(server.wait()).encode())

    def carry(self, number):
        if number not in self.connections:	# was closed a moment ago
            return
        try:
            data = self.connections[number].recv(PIECE)
        except OSError:
            data = b''
        if data:
            self.say(DATA, number, data)
        else:
            self.close(number)

    def serve(self):
        while True:
            whom = {self.line: self.heard}
            if self.server is not None:
                whom[self.server.stderr] = self.logged
            for number, s in self.connections.items():
                whom[s] = lambda number=number: self.carry(number)
            for ready in select.select(list(whom), [], [])[0]:
                whom[ready]()


def main():
    for kind, where in (('proc', '/proc'), ('sysfs', '/sys'), ('tmpfs', '/run')):
        subprocess.run(['mount', '-t', kind, kind, where], check=True)
    loopback_up()
    agent = Agent()
    agent.say(READY)
    agent.serve()


if __name__ == '__main__':
    os.environ.update(PATH='/usr/sbin:/usr/bin:/sbin:/bin', LANG='C.UTF-8')
    sys.exit(main())
