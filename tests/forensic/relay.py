"""Who listens on the network: a relay between clients and a server that keeps every byte of both directions, the
TLS records in them, and a capture file for other programs.
"""
import socket
import struct
import threading
import time

CLIENT, SERVER = 0, 1		# who sent it
PORT = 4433			# the server's in a capture
PIECE = 16000
RAW_IP = 101			# link type of a capture
SYN, PUSH, ACK = 2, 8, 16


class Connection:
    """pieces: (who, time, bytes) in the order in which they came."""

    def __init__(self):
        self.pieces = []

    def sent(self, who):
        return b''.join(data for w, _, data in self.pieces if w == who)


class Relay:
    """Listens on a port of its own while the block lasts."""

    def __init__(self, port):
        self.target, self.connections, self.lock = port, [], threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.sockets:
            s.close()
        return False

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return		# closed
            far, c = socket.create_connection(('127.0.0.1', self.target)), Connection()
            with self.lock:
                self.connections.append(c)
                self.sockets += [near, far]
            for who, source, sink in ((CLIENT, near, far), (SERVER, far, near)):
                threading.Thread(target=self.pump, args=(c, who, source, sink), daemon=True).start()

    def pump(self, c, who, source, sink):
        try:
            while data := source.recv(65536):
                with self.lock:
                    c.pieces.append((who, time.time(), data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass		# one end is gone; the other will notice

    def traffic(self):
        """All bytes."""
        return b''.join(c.sent(who) for c in self.connections for who in (CLIENT, SERVER))


# --- TLS ---


def records(data):
    """[(type, bytes)] of a direction; what is cut off at the end is left out."""
    found, at = [], 0
    while at + 5 <= len(data):
        kind, version, length = struct.unpack_from('>BHH', data, at)
        if kind not in (20, 21, 22, 23) or version >> 8 != 3:
            raise ValueError(f'not a TLS record, at {at}')
        found.append((kind, data[at + 5:at + 5 + length]))
        at += 5 + length
    return found


# --- a capture ---


def packet(who, client, numbers, flags, data):
    """IPv4 and TCP without check sums; numbers: the next byte of each side."""
    ports = (client, PORT) if who == CLIENT else (PORT, client)
    hosts = (b'\x0a\0\0\1', b'\x0a\0\0\2') if who == CLIENT else (b'\x0a\0\0\2', b'\x0a\0\0\1')
    tcp = struct.pack('>HHIIBBHHH', *ports, numbers[who], numbers[1 - who], 5 << 4, flags, 65535, 0, 0)
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0, *hosts)
    return ip + tcp + data


def write_capture(connections, path):
    """A pcap file: the connections in turn, from client ports 40000 on."""
    with open(path, 'wb') as f:
        f.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 1 << 18, RAW_IP))

        def put(when, data):
            f.write(struct.pack('<IIII', int(when), int(when % 1 * 1e6), len(data), len(data)) + data)
        for i, c in enumerate(connections):
            client, numbers = 40000 + i, [1000, 5000]
            when = c.pieces[0][1]
            for who, flags in ((CLIENT, SYN), (SERVER, SYN | ACK), (CLIENT, ACK)):
                put(when, packet(who, client, numbers, flags, b''))
                numbers[who] += bool(flags & SYN)
            for who, when, data in c.pieces:
                for at in range(0, len(data), PIECE):
                    put(when, packet(who, client, numbers, PUSH | ACK, data[at:at + PIECE]))
                    numbers[who] += len(data[at:at + PIECE])
