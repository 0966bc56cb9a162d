"""hostile: what strangers may plant before a whole program: to fill it, block it or lead it astray.

Each fault is tried by faults.py. It must be refused in one line, within trying.SECONDS and MEMORY.
"""

import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from trying import RUN, TOP, TRAIN, Fault, Outcome, finish, make_place, one_line, start

# Bytes that a refusal may take; Keras itself takes 700 MB.
MEMORY = 2**31
SAVED_MODEL = TOP / "tests" / "networks" / "foreign" / "keras2_saved_model"
ROWS = [*RUN, "--image=../many", "--output=rows.csv"]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
# What a server says first, and then for ever.
SERVERS = ((b"", b""), (OK, b"<p>"), (b"", b"\0" * 999), (OK, b'<a href="a.png">a.png</a>\n'))
TF_CONFIGS = ("[[[", "{}", "1e400", '{"cluster": {"worker": ["a:99999", "b:x"]}}')
TF_CONFIGS += (
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1e400}}',
)
# What makes a row of a journal damaged.
DAMAGES: tuple[dict[str, Any], ...] = (
    {"label": "Elephant"},
    {"label": 7},
    {"probability": "NaN"},
    {"probabilities": [1, 2, 3]},
    {"path": None},
)


def plant_links(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """A link at the name of a journal, plain and with --resume, to a file, to nowhere."""
    for number in range(tries):
        place, journal = _interrupt(base, dice)
        target = place / "target"
        content = "mine, without an end of line" if number % 4 < 2 else None
        if content is not None:
            target.write_text(content)
        journal.unlink()
        journal.symlink_to(target)
        broken = _refused([*ROWS, "--resume"] if number % 2 else ROWS, place)
        now = target.read_text() if target.exists() else None
        yield broken or (None if now == content else f"the link's target became {now!r}")


def damage_rows(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """A journal one of whose rows is none."""
    for _, damage in zip(range(tries), itertools.cycle(DAMAGES), strict=False):
        place, journal = _interrupt(base, dice)
        lines = journal.read_text().splitlines()
        row = dice.randrange(len(lines))
        lines[row] = json.dumps({**json.loads(lines[row]), **damage})
        journal.write_text("".join(f"{line}\n" for line in lines))
        broken = _refused([*ROWS, "--resume"], place)
        yield broken and f"row {row + 1} of {len(lines)} with {damage}: {broken}"


def _interrupt(base: Path, dice: Random) -> tuple[Path, Path]:
    """A place where a classification was killed, and the journal of its rows."""
    place = make_place(base)
    process = start(ROWS, place)
    while process.poll() is None and not _rows(place):
        time.sleep(0.01)
    time.sleep(dice.uniform(0, 0.2))
    process.kill()
    process.communicate()
    return place, _rows(place)[0]


def _rows(place: Path) -> list[Path]:
    return [path for path in place.glob("rows.csv.*.partial") if b"\n" in path.read_bytes()]


def serve_for_ever(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """A web server whose folder or file has no end."""
    for number in range(tries):
        name = "" if number % 8 < 4 else "a.png"
        with _server(*SERVERS[number % len(SERVERS)]) as address:
            place, url = make_place(base), f"http://{address}/{name}"
            # Of a file there is a row, which says why.
            status, said = _finish_in(MEMORY, start([*RUN, f"--image={url}"], place))
            is_row = bool(name) and status == 1 and "; 1 unreadable; " in said
            broken = None if is_row else one_line(status, said, expected=(1, 2))
        yield broken and f"server {number % len(SERVERS)}, /{name}: {broken}"


def serve_no_ray(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """A server of another kind where a Ray cluster was named; in turn, a TF_CONFIG of nonsense."""
    for number in range(tries):
        place = make_place(base)
        if number % 2:
            text = dice.choice(TF_CONFIGS)
            broken = _refused(TRAIN, place, env=os.environ | {"TF_CONFIG": text})
            yield broken and f"TF_CONFIG={text}: {broken}"
            continue
        with _server(*SERVERS[number // 2 % len(SERVERS)]) as address:
            broken = _refused([*RUN, "--image=../cells", f"--cluster={address}"], place)
        yield broken and f"--cluster, server {number // 2 % len(SERVERS)}: {broken}"


@contextmanager
def _server(first: bytes, then: bytes) -> Iterator[str]:
    """The HOST:PORT of a server that says `first` and then `then` without an end, or nothing."""

    def speak(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(first)
            while not closing.is_set():
                connection.sendall(then)
                closing.wait(0 if then else 1)

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            closing.set()
            listener.shutdown(socket.SHUT_RDWR)


def block_weights(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """A SavedModel whose weights are a pipe, a device or a sparse file of 40 GB."""

    def sparse(path: Path) -> None:
        path.touch()
        os.truncate(path, 40 * 10**9)

    kinds: list[Callable[[Path], Any]] = [os.mkfifo, lambda path: path.symlink_to("/dev/zero")]
    kinds += [sparse]
    for number in range(tries):
        place = make_place(base)
        shutil.copytree(SAVED_MODEL, place / "model")
        # The data, then the index.
        path = sorted((place / "model" / "variables").iterdir())[number // len(kinds) % 2]
        path.unlink()
        kinds[number % len(kinds)](path)
        broken = _refused([*RUN, "--model=model", "--image=../cells"], place)
        yield broken and f"{path.name}, kind {number % len(kinds)}: {broken}"


def inflate_models(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """A .keras of a few MB whose config unpacks to 2 GB: said or concealed, by each method."""
    methods = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    for number in range(tries):
        method, is_concealed = methods[number % 2], number % 4 < 2
        path = base / f"{method}_{is_concealed}.keras"
        if not path.exists():
            _write_inflating(path, method, is_concealed=is_concealed)
        broken = _refused([*RUN, f"--model={path}", "--image=../cells"], make_place(base))
        yield broken and f"method {method}, size concealed: {is_concealed}: {broken}"


def _write_inflating(path: Path, method: int, *, is_concealed: bool) -> None:
    with (
        zipfile.ZipFile(TOP / "tests/networks/foreign/keras3.keras") as whole,
        zipfile.ZipFile(path, "w", method, compresslevel=1) as file,
    ):
        for name in ("metadata.json", "model.weights.h5"):
            file.writestr(name, whole.read(name))
        with file.open("config.json", "w", force_zip64=True) as written:
            for _ in range(2200):
                written.write(b" " * 2**20)
        if is_concealed:
            file.getinfo("config.json").file_size = 1000


def hang_driver(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """An nvidia-smi that sleeps, prints for ever or is no program; training goes on without it."""
    scripts = ("exec sleep 1000", "sleep 1000", "yes 'GPU 0'", "printf '\\377'; exit 3", "kill $$")
    for number in range(tries):
        place = make_place(base)
        path = place / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{scripts[number % len(scripts)]}\n")
        path.chmod(0o755)
        known = {"env": os.environ | {"PATH": f"{place}:{os.environ['PATH']}"}}
        doctor = [RUN[0], "-m", "malaria", "doctor"]
        known["env"]["PYTHONPATH"] = str(TOP)
        status, said = _finish_in(MEMORY, start(doctor, place, **known))
        if status not in (0, 1) or "Traceback" in said:
            yield f"doctor, {scripts[number % len(scripts)]}: exit status {status}: {said[-300:]!r}"
            continue
        status, said = _finish_in(MEMORY, start([*TRAIN, "--check"], place, **known))
        yield f"--check: exit status {status}: {said[-300:]!r}" if status else None


def flood_stdin(tries: int, dice: Random, base: Path) -> Iterator[Outcome]:
    """Names on stdin that have no end: of one letter, of NULs, of bytes that are no UTF-8."""
    for letter in itertools.islice(itertools.cycle(("x", r"\0", r"\377")), tries):
        place = make_place(base)
        with subprocess.Popen(
            ["sh", "-c", f"yes | tr 'y\\n' '{letter}{letter}'"], stdout=subprocess.PIPE
        ) as flood:
            broken = _refused([*RUN, "--image=-"], place, stdin=flood.stdout)
            flood.kill()
        yield broken and f"{letter}: {broken}"


def _refused(command: list[str], place: Path, **more: Any) -> Outcome:
    return one_line(*_finish_in(MEMORY, start(command, place, **more)), expected=(1, 2))


def _finish_in(memory: int, process: subprocess.Popen[str]) -> tuple[int, str]:
    """`finish`, but what takes more memory is killed: status -9, and that said."""
    killed: list[str] = []

    def watch() -> None:
        with suppress(OSError, IndexError, ValueError):
            while process.poll() is None:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                if pages * os.sysconf("SC_PAGE_SIZE") > memory:
                    killed.append(f"more than {memory:,} bytes of memory")
                    process.kill()
                time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    status, said = finish(process)
    watcher.join()
    return status, said + "".join(killed)


FAULTS: dict[str, Fault] = {
    "planted_links": plant_links,
    "damaged_rows": damage_rows,
    "endless_http": serve_for_ever,
    "other_servers": serve_no_ray,
    "blocked_weights": block_weights,
    "inflated_models": inflate_models,
    "driver": hang_driver,
    "endless_stdin": flood_stdin,
}
