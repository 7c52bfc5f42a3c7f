"""A client without the client library: TLS by the ssl module, SP framing and protobuf by hand, from
docs/PROTOCOL.md. It sends what the library never would, and says what comes back.
"""
import os
import socket
import ssl
import struct

GREETING = bytes([0, 0x53, 0x50, 0, 0, 0x30, 0, 0])		# SP, REQ
ANSWERED = bytes([0, 0x53, 0x50, 0, 0, 0x31, 0, 0])		# SP, REP
SECONDS = 20

CODES = ('OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS '
         'PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED '
         'INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED').split()


# --- protobuf ---


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    """A field with a number, text, or bytes as its value."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """A list of (number, value); value is an integer or bytes."""
    out, at = [], 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return n
    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            out.append((tag >> 3, number()))
        elif tag & 7 == 2:
            length = number()
            if at + length > len(data):
                raise ValueError('a field beyond the end')
            out.append((tag >> 3, data[at:at + length]))
            at += length
        else:
            raise ValueError('a wire type that is not used')
    return out


def request(method, message=b'', key=None, timeout_ms=0):
    """The envelope of a request."""
    out = field(1, f'/pdvault.v1.{method.replace(".", "/")}') + field(2, message)
    if timeout_ms:
        out += field(3, timeout_ms)
    if key is not None:
        out += field(4, key)
    return out


class Response:
    def __init__(self, data):
        self.code, self.reason, self.detail, self.message, self.epoch = 'OK', '', '', b'', 0
        self.violations = []
        for number, value in fields(data):
            if number == 1:
                self.code = CODES[value]
            elif number == 2:
                self.reason = value.decode()
            elif number == 3:
                self.detail = value.decode()
            elif number == 4:
                self.violations.append({n: v.decode() for n, v in fields(value)})
            elif number == 6:
                self.epoch = value
            elif number == 7:
                self.message = value

    def __repr__(self):
        return f'{self.code} {self.reason}'

    def values(self, number):
        return [v for n, v in fields(self.message) if n == number]


# --- the connection ---


def context(pki, who, ca='ca', versions=(None, None), keylog=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if keylog is not None:
        c.keylog_filename = keylog		# the secrets of its sessions
    c.load_verify_locations(pki.path(f'{ca}.pem'))
    if who is not None:
        c.load_cert_chain(pki.path(f'{who}.pem'), pki.path(f'{who}.key'))
    low, high = versions
    if low is not None:
        c.minimum_version = low
    if high is not None:
        c.maximum_version = high
    return c


class Peer:
    """One connection. Everything ends within SECONDS, by an exception (OSError) if need be."""

    def __init__(self, bed, who='operator', greet=True, **tls):
        raw = socket.create_connection(('127.0.0.1', bed.port), SECONDS)
        try:
            self.socket = context(bed.pki, who, **tls).wrap_socket(raw, server_hostname='127.0.0.1')
        except BaseException:
            raw.close()
            raise
        self.socket.settimeout(SECONDS)
        self.next = 0x80000001
        self.received = 0
        if greet:
            self.greet()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def greet(self):
        self.socket.sendall(GREETING)
        got = self.read(8)
        if got != ANSWERED:
            raise OSError(f'a strange greeting: {got.hex()}')

    def read(self, count):
        data = b''
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise ConnectionResetError('the other end closed')
            data += chunk
        return data

    def send(self, body):
        """One request; the id that its answer will carry."""
        number = self.next
        self.next += 1
        self.socket.sendall(struct.pack('>QI', len(body) + 4, number) + body)
        return number

    def receive(self):
        length, number = struct.unpack('>QI', self.read(12))
        self.received = 8 + length	# bytes of this message
        return number, Response(self.read(length - 4))

    def ask(self, body):
        number = self.send(body)
        got, response = self.receive()
        if got != number:
            raise OSError('the answer to another request')
        return response

    def call(self, method, message=b'', mutates=False, key=None, timeout_ms=0):
        if mutates and key is None:
            key = os.urandom(16)
        return self.ask(request(method, message, key, timeout_ms))

    def ended(self):
        """Does the other end close, rather than keep silent?"""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


def subject_id(text):
    """The 16 bytes of sub_..."""
    import base64
    return base64.b32decode(text[4:].upper() + '======')


def works(bed, who='operator'):
    """Whether a client of good will is served."""
    with Peer(bed, who) as p:
        return p.call('Health.Check').code == 'OK'
