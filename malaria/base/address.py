"""address: HOST:PORT, as machines name each other, and whether anybody answers there."""

import re
import socket

ADDRESS = re.compile(r"[\w.-]+:\d{1,5}|\[[\da-fA-F:]+\]:\d{1,5}")


def answers(address: str, seconds: float = 10.0) -> bool:
    """True if a connection to HOST:PORT can be made within these seconds."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), seconds).close()
    except (OSError, OverflowError):
        return False
    return True
