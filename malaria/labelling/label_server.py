"""label_server: the page on which cells are labelled, for this machine alone.

It answers on 127.0.0.1 at an address that holds a secret word. A page of the network can neither
read nor guess it, and no path of a file ever comes from a request: cells are asked for by number.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.inference.prediction import Prediction
from malaria.labelling.label_figures import describe_labels
from malaria.labelling.label_pictures import LabelPictures
from malaria.labelling.label_session import Change, LabelSession
from malaria.labelling.label_table import NO_CELL, SKIPPED
from malaria.outputs.html_parts import csp_hash
from malaria.pictures.images import UnreadableImageError

FOLDER = Path(__file__).parent
# Of what a press sends; of labels for ten thousand cells at once.
MOST_BYTES = 4_000_000
# A connection that says nothing is closed, seconds.
PATIENCE = 30
# Of the page itself; those of labels would hide them.
OWN_KEYS = "XSZFG"
HTML, JSON, JPEG = "text/html; charset=utf-8", "application/json", "image/jpeg"
Answer = tuple[HTTPStatus, str, bytes]


class LabelServer(ThreadingHTTPServer):
    """Serves one LabelSession until it is closed. address: to be opened in a browser."""

    daemon_threads = True

    def __init__(
        self,
        session: LabelSession,
        predictions: Sequence[Prediction] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """predictions: all of them, for the shares. notes: lines about all that was found.

        Raises OSError where there is no port.
        """
        super().__init__(("127.0.0.1", 0), _Handler)
        self.session, self.predictions, self.notes = session, predictions, notes
        self.pictures = LabelPictures([one.cell for one in session.chosen])
        self.token = token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        self.address = f"http://127.0.0.1:{self.server_port}/{self.token}/"

    @cached_property
    def page(self) -> tuple[bytes, str]:
        """The page with its style and script inside, and its Content-Security-Policy."""
        text, style, script = (
            (FOLDER / f"label_page.{ending}").read_text(encoding="utf-8")
            for ending in ("html", "css", "js")
        )
        policy = (
            f"default-src 'none'; style-src {csp_hash(style)}; script-src {csp_hash(script)}; "
            "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        whole = text.replace("/*style*/", style).replace("/*script*/", script)
        return whole.encode("utf-8"), policy

    def setup(self) -> dict[str, Any]:
        """What the page is told once: the labels with their keys, and what is known of each cell.

        Not what the model called it: who labels should not know.
        """
        session = self.session
        cells = [(one.cell.path, one.cell) for one in session.chosen]
        return {
            "labels": keys_of(session.model.metadata.labels),
            "cells": [
                [printable(path.name if path else ""), cell.group and printable(cell.group)]
                for path, cell in cells
            ],
            "areFields": any(cell.box for _, cell in cells),
            "table": printable(session.table),
            "who": printable(session.who),
            "notes": [printable(note) for note in self.notes],
        }

    def figures(self) -> dict[str, Any]:
        """What the labels say so far."""
        return describe_labels(self.session.pairs(), self.predictions, self.session.model)


def keys_of(labels: Sequence[str]) -> list[dict[str, str]]:
    """[{"label", "name", "key"}] of all that can be pressed: first letters, or digits."""
    letters = [label[:1].upper() for label in labels]
    are_free = len({*letters, *OWN_KEYS}) == len(letters) + len(OWN_KEYS)
    are_plain = all(re.fullmatch("[A-Z]", letter) for letter in letters)
    digits = [str(number) if number < 10 else "" for number in range(1, len(labels) + 1)]
    keys = letters if are_free and are_plain else digits
    known = [(label, printable(label), key) for label, key in zip(labels, keys, strict=True)]
    known += [(NO_CELL, "No single red cell", "X"), (SKIPPED, "Skip", "S")]
    return [dict(zip(("label", "name", "key"), one, strict=True)) for one in known]


class _Handler(BaseHTTPRequestHandler):
    server: LabelServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server_version, sys_version = "malaria", ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, find: Callable[[str], Answer | None]) -> None:
        """Send what `find` gives for the rest of an address that holds the token, else 404."""
        token, slash, rest = self.path.removeprefix("/").partition("/")
        is_ours = compare_digest(token.encode(), self.server.token.encode())
        found = None
        if is_ours and slash and self.headers.get("Host") in self.server.hosts:
            try:
                found = find(rest)
            except UnreadableImageError as error:
                found = HTTPStatus.GONE, JSON, _as_json({"error": str(error)})
            except UserError as error:
                found = HTTPStatus.INTERNAL_SERVER_ERROR, JSON, _as_json({"error": str(error)})
        self._send(*(found or (HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")))

    def _get(self, rest: str) -> Answer | None:
        server = self.server
        if rest == "":
            return HTTPStatus.OK, HTML, server.page[0]
        if rest == "cells":
            return HTTPStatus.OK, JSON, _as_json(server.setup())
        if rest == "figures":
            return HTTPStatus.OK, JSON, _as_json(server.figures())
        if known := re.fullmatch(r"labels/(\d{1,9})", rest, re.ASCII):
            return HTTPStatus.OK, JSON, _as_json(server.session.since(int(known[1])))
        if known := re.fullmatch(r"(cell|field)/(\d{1,9})", rest, re.ASCII):
            number = int(known[2])
            if number < len(server.session.chosen):
                make = server.pictures.cell if known[1] == "cell" else server.pictures.around
                return HTTPStatus.OK, JPEG, make(number)
        return None

    def _post(self, rest: str) -> Answer | None:
        length = self.headers.get("Content-Length", "")
        # What is not read would be taken for the next request.
        self.close_connection = True
        is_json = self.headers.get_content_type() == JSON
        is_sized = re.fullmatch(r"\d{1,9}", length, re.ASCII) and int(length) <= MOST_BYTES
        if rest != "labels" or not is_json or not is_sized:
            return None
        session = self.server.session
        try:
            version, changes = _parse(self.rfile.read(int(length)), session)
        except (ValueError, TypeError, KeyError, RecursionError):
            return HTTPStatus.BAD_REQUEST, "text/plain", b"not as expected\n"
        self.close_connection = False
        refused = session.apply(changes)
        return HTTPStatus.OK, JSON, _as_json(session.since(version) | {"refused": refused})

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        policy = self.server.page[1] if kind == HTML else "default-src 'none'"
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        """As before; a browser that has gone is no error."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the address would be in it."""


def _as_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=True, allow_nan=False).encode()


def _parse(content: bytes, session: LabelSession) -> tuple[int, list[Change]]:
    """(version, changes) of what a page sent. Raises ValueError, TypeError or KeyError."""
    told = json.loads(content)
    version, changes = told["version"], [Change(*one) for one in told["changes"]]
    for number, before, after in changes:
        if type(number) is not int or not 0 <= number < len(session.chosen):
            raise ValueError
        if not {before, after} <= {*session.answers, None}:
            raise ValueError
    if type(version) is not int:
        raise ValueError
    return version, changes
