"""Looking for texts in bytes, in every form in which a program could have left them."""
import base64


def forms(text):
    """(name, bytes) of each form: UTF-8, UTF-16, hexadecimal, base64 at each alignment, percent."""
    data = text.encode()
    yield 'UTF-8', data
    yield 'UTF-16LE', text.encode('utf-16-le')
    yield 'UTF-16BE', text.encode('utf-16-be')
    yield 'hex', data.hex().encode()
    yield 'HEX', data.hex().upper().encode()
    for shift in range(3):
        # Of the whole only those digits that no neighbour has a part in.
        whole = base64.b64encode(bytes(shift) + data)
        yield f'base64+{shift}', whole[(0, 2, 3)[shift]:(shift + len(data)) * 8 // 6]


def found(data, texts):
    """The (text's number, form) of each text that is there."""
    return [(i, name) for i, text in enumerate(texts) for name, form in forms(text) if form in data]


def check():
    """The search finds what it is there for, wherever it stands."""
    text = 'mark.Ünique-8812@example.org'
    for name, form in forms(text):
        assert found(b'ab' + form + b'yz', [text]), name
    for before in (b'', b'x', b'xy', b'xyz', b'four'):
        for behind in (b'', b'x', b'xy'):
            data = before + text.encode() + behind
            assert found(base64.b64encode(data), [text]), 'base64'
    assert not found(bytes(4096), [text])


check()
