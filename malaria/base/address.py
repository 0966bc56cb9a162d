"""address: HOST:PORT, as machines name each other, and what answers there."""

import re
import socket
import time

ADDRESS = re.compile(r"([A-Za-z0-9_.-]{1,255}|\[[0-9a-fA-F.]*:[0-9a-fA-F:.]*\]):([0-9]{1,5})")
# What a client of HTTP/2 sends first, with a frame of no settings, and the type of such a frame,
# with which every server of it begins (RFC 9113, section 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
FRAME_HEADER_BYTES, SETTINGS = 9, 4


def is_address(text: str) -> bool:
    """True for HOST:PORT with a port from 1 to 65535; an IPv6 address stands in brackets."""
    match = ADDRESS.fullmatch(text)
    return match is not None and 0 < int(match[2]) <= 65535


def split_address(address: str) -> tuple[str, int]:
    """(host, port) of what is_address; of an IPv6 address without the brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def speaks_http2(address: str, seconds: float = 10.0) -> bool:
    """True if what answers at HOST:PORT within these seconds speaks HTTP/2, as Ray does.

    Raises OSError or UnicodeError, of a name that can be none, where nobody answers.
    """
    end = time.monotonic() + seconds
    with socket.create_connection(split_address(address), seconds) as connection:
        try:
            connection.sendall(PREFACE)
            received = b""
            while len(received) < FRAME_HEADER_BYTES:
                connection.settimeout(max(0.001, end - time.monotonic()))
                if not (more := connection.recv(FRAME_HEADER_BYTES - len(received))):
                    return False
                received += more
        except OSError:  # it has waited long enough, or was sent away
            return False
    return received[3] == SETTINGS
