"""HOST:PORT: what is one, and what answers there."""

import socket
import threading
from contextlib import suppress

import pytest

from malaria.base.address import is_address, speaks_http2, split_address


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a:1", ("a", 1)),
        ("n-1.ward.example:65535", ("n-1.ward.example", 65535)),
        ("192.0.2.1:22", ("192.0.2.1", 22)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
    ],
)
def test_an_address_is_a_host_and_a_port(text, place):
    assert is_address(text)
    assert split_address(text) == place


@pytest.mark.parametrize(
    "text",
    ["", "a", ":1", "a:", "a:0", "a:00000", "a:65536", "a:99999", "a:999999", "a:b", "a b:1",
     "a:1\n", "ray://a:1", "http://a:1", "2001:db8::1:80", "[a]:1", "a:٣", "a:1e400"],
)  # fmt: skip
def test_what_is_no_address_is_known(text):
    assert not is_address(text)


@pytest.fixture
def serve():
    """A function that starts a server which sends `answer` to each client; its address."""
    servers = []

    def serve(answer, times=1):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def talk():
            connection, _ = server.accept()
            # A client that has seen enough closes first.
            with connection, suppress(ConnectionError):
                for _ in range(times):
                    connection.sendall(answer)
                connection.recv(1000)

        threading.Thread(target=talk, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()


def test_a_server_of_http2_is_known_by_its_first_frame(serve):
    assert speaks_http2(serve(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])))
    assert speaks_http2(serve(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0])))


def test_other_servers_are_not_waited_for(serve):
    assert not speaks_http2(serve(b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n"))
    assert not speaks_http2(serve(b"x" * 65536, times=5))
    for few in (b"", b"\0"):
        assert not speaks_http2(serve(few), seconds=0.1)


def test_where_nobody_answers_is_an_error(serve):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    for address in (closed, "a..b:1"):
        with pytest.raises((OSError, UnicodeError)):
            speaks_http2(address)
