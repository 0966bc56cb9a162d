"""Tests of malaria/labelling/label_server.py: who may ask it for what."""

import http.client
import json

import pytest
from PIL import Image

from malaria.labelling.label_server import MOST_BYTES, keys_of

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(session, serve, tmp_path):
    for number in range(4):
        Image.new("RGB", (240, 80), (200, 150, 150)).save(tmp_path / f"field{number}.png")
    with serve(session) as server:
        yield server


@pytest.fixture
def ask(server):
    """A function: (status, headers, content) of a request as it stands."""

    def give(path, *, method="GET", body=None, host=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        told = answer.status, answer.headers, answer.read()
        connection.close()
        return told

    return give


def test_the_page_has_all_in_it_and_lets_nothing_else_in(server, ask):
    status, headers, content = ask(f"/{server.token}/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert b"://" not in content
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.token}/"


def test_what_the_page_is_told_names_no_folder_and_not_what_the_model_called(server, ask, tmp_path):
    _, _, content = ask(f"/{server.token}/cells")
    told = json.loads(content)
    assert [one["key"] for one in told["labels"]] == ["P", "U", "X", "S"]
    assert told["cells"][0][0].startswith("field")
    assert str(tmp_path) not in json.dumps(told["cells"])
    assert len(told["cells"]) == 40


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/wrong/", "/wrong/cells", "/T", "/T/../cells", "/T/../../etc/passwd",
     "/T//etc/passwd", "/T/cell/../../labels.csv", "/T/cell/%2e%2e/labels.csv", "/T/cell/40",
     "/T/cell/-1", "/T/cell/0/", "/T/cell/%D9%A1", "/T/cell/99999999999999999999",
     "/T/labels.csv", "/T/label_page.html", "/T/cell//etc/passwd",
     "/T/field/file:///etc/passwd", "/T/cells?a", "/favicon.ico"],
)  # fmt: skip
def test_any_other_address_is_not_found(server, ask, path):
    status, _, content = ask(path.replace("T", server.token))
    assert (status, content) == (404, b"not found\n")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{}", "127.0.0.1", "localhost:1", ""]
)
def test_a_request_by_another_name_is_not_found_for_a_page_of_the_network_may_have_sent_it(
    server, ask, host
):
    assert ask(f"/{server.token}/", host=host.format(server.server_port))[0] == 404
    assert ask(f"/{server.token}/", host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"{}", 404),
        ({"Content-Type": "text/plain"}, b'{"version":0,"changes":[]}', 404),
        (JSON, b"", 400),
        (JSON, b"[]", 400),
        (JSON, b"[" * 5000, 400),
        (JSON, b"\xff", 400),
        (JSON, b'{"version":0}', 400),
        (JSON, b'{"version":"0","changes":[]}', 400),
        (JSON, b'{"version":0,"changes":[[0,null]]}', 400),
        (JSON, b'{"version":0,"changes":[[true,null,"Parasitized"]]}', 400),
        (JSON, b'{"version":0,"changes":[[40,null,"Parasitized"]]}', 400),
        (JSON, b'{"version":0,"changes":[["../a.png",null,"Parasitized"]]}', 400),
        (JSON, b'{"version":0,"changes":[[0,null,"ring"]]}', 400),
        (JSON, b'{"version":0,"changes":[[0,null,["Parasitized"]]]}', 400),
        (JSON | {"Content-Length": str(MOST_BYTES + 1)}, None, 404),
        (JSON | {"Content-Length": "-1"}, None, 404),
    ],
)
def test_a_press_that_is_not_as_the_page_sends_it_changes_nothing(
    server, ask, headers, body, status
):
    told = ask(f"/{server.token}/labels", method="POST", headers=headers, body=body)
    assert told[0] == status
    assert not server.session.table.exists()


def test_a_press_needs_the_token_and_is_told_what_has_changed(server, ask):
    body = b'{"version":0,"changes":[[2,null,"Uninfected"]]}'
    known = {"method": "POST", "headers": JSON, "body": body}
    assert ask("/wrong/labels", **known)[0] == 404
    status, _, content = ask(f"/{server.token}/labels", **known)
    assert (status, json.loads(content)) == (
        *(200, {"version": 1, "labels": {"2": "Uninfected"}, "refused": []}),
    )
    assert json.loads(ask(f"/{server.token}/labels", **known)[2])["refused"] == [2]
    assert json.loads(ask(f"/{server.token}/labels/1")[2])["labels"] == {}
    assert json.loads(ask(f"/{server.token}/figures")[2])["rows"] == []


def test_a_cell_and_the_field_around_it_are_jpegs_and_a_lost_file_is_told(server, ask, tmp_path):
    for kind in ("cell", "field"):
        status, headers, content = ask(f"/{server.token}/{kind}/0")
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        assert content[:2] == b"\xff\xd8"
    path = server.session.chosen[0].cell.path
    number = next(n for n, one in enumerate(server.session.chosen) if one.cell.path != path)
    server.session.chosen[number].cell.path.unlink()
    status, _, content = ask(f"/{server.token}/cell/{number}")
    assert status == 410
    assert "error" in json.loads(content)


def test_a_table_that_cannot_be_written_is_told_in_the_page(server, ask):
    server.session.table.mkdir()
    body = b'{"version":0,"changes":[[2,null,"Uninfected"]]}'
    known = {"method": "POST", "headers": JSON, "body": body}
    status, _, content = ask(f"/{server.token}/labels", **known)
    assert status == 500
    assert "cannot write" in json.loads(content)["error"]


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (["Parasitized", "Uninfected"], "PU"),
        (["ring", "trophozoite", "uninfected"], "RTU"),
        (["ring", "rare", "uninfected"], "123"),  # they clash
        (["schizont", "uninfected"], "12"),  # S skips
        (["\u0440", "\u0443"], "12"),
    ],
)
def test_the_keys_are_first_letters_or_digits_where_these_clash(labels, keys):
    assert "".join(one["key"] for one in keys_of(labels)) == f"{keys}XS"
