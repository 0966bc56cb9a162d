"""What download.sh does with good, slow, broken and hostile servers, each on the loopback."""

import hashlib
import http.server
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# Incompressible, so that the archive is long enough to be cut in two.
IMAGES = {
    "cell_images/Parasitized/C1_a.png": os.urandom(200_000),
    "cell_images/Parasitized/C2_b.png": b"two",
    "cell_images/Uninfected/C3_c.png": b"three",
}
RESULT = "cell_images/: 2 Parasitized, 1 Uninfected\n"
REMOVED = "removed cell_images.zip.part, which is no longer needed"
TOOLS = ["bash", "dirname", "grep", "rm", "sed", "seq", "tr"]
# What download.sh runs of the package.
NEEDED = [
    "malaria/__init__.py",
    *(path.relative_to(REPOSITORY) for path in REPOSITORY.glob("malaria/base/*.py")),
    *(f"malaria/cli/{name}.py" for name in ("__init__", "command", "archive")),
    *(f"malaria/data/{name}.py" for name in ("__init__", "unpack")),
]
NEITHER = "true"  # a program that fetches nothing
SLEEP = shutil.which("sleep")
LIMIT = resource.RLIMIT_FSIZE


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every address and notes the Range header of each request."""

    daemon_threads = True
    knows_ranges = True
    cuts = ()  # where to close the connection, one entry a request; beyond the list, nowhere
    refusals = ()  # what to answer instead of the content, one status a request
    gate = None  # what to wait for before the second half of the content

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.ranges = []
        self.url = f"http://127.0.0.1:{self.server_port}/cell_images.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        number = len(self.server.ranges)
        self.server.ranges.append(self.headers["Range"])
        if number < len(self.server.refusals):
            self.send_error(self.server.refusals[number])
            return
        start = self.begin(len(self.server.content))
        stop = self.server.cuts[number] if number < len(self.server.cuts) else None
        if self.server.gate:
            middle = len(self.server.content) // 2
            self.wfile.write(self.server.content[start:middle])
            self.server.gate.wait(60)
            start = max(start, middle)
        self.wfile.write(self.server.content[start:stop])

    def begin(self, size):
        """Send the headers; returns where to begin."""
        start = 0
        if self.server.knows_ranges and self.headers["Range"]:
            start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
        status = 200 if start == 0 else 206 if start < size else 416
        self.send_response(status)
        if status != 200:
            part = f"{start}-{size - 1}" if status == 206 else "*"
            self.send_header("Content-Range", f"bytes {part}/{size}")
        self.send_header("Content-Length", str(max(size - start, 0)))
        self.end_headers()
        return start

    def log_message(self, *_):
        pass


@pytest.fixture
def content(tmp_path):
    with zipfile.ZipFile(tmp_path / "honest.zip", "w") as packed:
        for name, image in IMAGES.items():
            packed.writestr(name, image)
    return (tmp_path / "honest.zip").read_bytes()


@pytest.fixture
def server(content):
    with Server(content) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.fixture(params=["curl", "wget"])
def tool(request):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture
def copy(tmp_path):
    """A folder, with a space in its name, that holds download.sh and what it needs."""
    folder = tmp_path / "my copy"
    for name in ("download.sh", *NEEDED):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def make_path(folder, *programs):
    """A PATH with `programs`, the usual ones, python3, and a `sleep` that takes no time."""
    folder.mkdir(exist_ok=True)
    for name in (*TOOLS, *programs):
        if not (folder / name).exists():
            (folder / name).symlink_to(shutil.which(name))
    # Only once: a run that was started before this one may be about to call it.
    if not (folder / "python3").exists():
        write_program(folder / "sleep", "")
        write_program(folder / "python3", f'exec "{sys.executable}" "$@"')
    return folder


def write_program(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    # It may be a link to the machine's own program.
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def replace_unpacking(copy, action):
    """Let `action` be done where the first file would be written."""
    program = (
        f"import os, runpy, shutil, signal; shutil.copyfileobj = lambda *_: {action}; "
        "runpy.run_module('malaria.cli.archive', run_name='__main__', alter_sys=True)"
    )
    write_program(
        copy / ".venv/bin/python",
        'case "$*" in "-m malaria.cli.archive unpack"*) shift 2; '
        f'exec "{sys.executable}" -c "{program}" "$@" ;; esac\nexec "{sys.executable}" "$@"',
    )


def start(copy, url, content, *, tool="curl", file_limit=None, **more):
    """Begin download.sh from another folder; file_limit: how many bytes a file may have."""
    environment = {
        "PATH": str(make_path(copy.parent / f"with {tool}", tool)),
        "CELL_IMAGES_URL": url,
        "CELL_IMAGES_SHA256": hashlib.sha256(content).hexdigest(),
    }
    return subprocess.Popen(
        ["bash", str(copy / "download.sh")],
        cwd=copy.parent,
        env={**environment, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=file_limit and (lambda: resource.setrlimit(LIMIT, (file_limit, file_limit))),
    )


def download(copy, url, content, **more):
    """Run download.sh; returns its exit status, stdout, and stderr as a list of lines."""
    with start(copy, url, content, **more) as process:
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err.splitlines()


def part_of(copy):
    return copy / "cell_images.zip.part"


def assert_done(copy, answer):
    """It ended well: the images are there and nothing else was left."""
    assert answer[:2] == (0, RESULT)
    for name, image in IMAGES.items():
        assert (copy / name).read_bytes() == image
    assert left_in(copy) == {"cell_images", "download.sh", "malaria"}


def left_in(copy):
    return {path.name for path in copy.iterdir()} - {".venv"}


def assert_failed(copy, answer, *reasons):
    """One line with `reasons` says why, and there is no trace of a data set."""
    status, out, lines = answer
    assert (status, out) == (1, "")
    errors = [line for line in lines if line.startswith("error: ")]
    assert errors == lines[-1:]
    for reason in reasons:
        assert reason in errors[0]
    assert not (copy / "cell_images").exists()
    assert not (copy / ".cell_images.partial").exists()


def test_the_archive_is_fetched_unpacked_and_removed(copy, server, content, tool):
    answer = download(copy, server.url, content, tool=tool)
    assert_done(copy, answer)
    assert answer[2] == [f"fetching {server.url}", "unpacking", REMOVED]
    assert server.ranges == [None]


def test_what_is_complete_stays_and_what_is_not_is_not_touched(copy, server, content):
    # The digest may be written in capitals.
    digest = hashlib.sha256(content).hexdigest().upper()
    answer = download(copy, server.url, content, CELL_IMAGES_SHA256=digest)
    assert_done(copy, answer)
    done = (0, "cell_images/ is complete: nothing to do\n")
    assert download(copy, server.url, content) == (*done, [])
    # As after a run that was killed before it removed the archive.
    for left in ("part", "part.log", "lock"):
        (copy / f"cell_images.zip.{left}").write_text("left")
    assert download(copy, server.url, content) == (*done, [REMOVED])
    assert_done(copy, answer)
    (copy / "cell_images/Uninfected/C3_c.png").unlink()
    status, _, lines = download(copy, server.url, content)
    assert status == 1
    assert "has lost or gained files" in lines[0]
    assert len(server.ranges) == 1


def test_a_server_that_is_busy_is_asked_again_and_where_it_broke_off_gone_on(
    copy, server, content, tool
):
    server.refusals = [503]
    server.cuts = [None, 100_000]
    answer = download(copy, server.url, content, tool=tool)
    assert_done(copy, answer)
    assert "the server answered 503; trying again" in answer[2]
    assert server.ranges == [None, None, "bytes=100000-"]


def test_a_server_without_ranges_begins_again(copy, server, content, tool):
    server.knows_ranges = False
    part_of(copy).write_bytes(content[:150_000])
    assert_done(copy, download(copy, server.url, content, tool=tool))


def test_another_archive_than_the_expected_is_removed(copy, server, content, tool):
    # There is nothing beyond this part.
    part_of(copy).write_bytes(content)
    answer = download(copy, server.url, b"another", tool=tool)
    assert server.ranges == [f"bytes={len(content)}-"]
    expected, received = (hashlib.sha256(one).hexdigest() for one in (b"another", content))
    said = f"expected SHA-256 {expected}, received {received}; removed it: run bash download.sh"
    assert_failed(copy, answer, f"{said} again", "set CELL_IMAGES_SHA256")
    assert not part_of(copy).exists()


def test_a_missing_file_is_said_at_once(copy, server, content, tool):
    server.refusals = [404, 404]
    assert_failed(copy, download(copy, server.url, content, tool=tool), server.url, "answered 404")
    assert len(server.ranges) == 1
    assert not part_of(copy).exists()


@pytest.mark.parametrize(
    ("host", "reasons"),
    [
        # .invalid never exists (RFC 2606).
        ("nowhere.invalid", ["nowhere.invalid", "no such host, or no network"]),
        ("127.0.0.1:1", ["the host does not answer", "5 times", "again to go on"]),
    ],
)
def test_a_host_that_is_not_there_or_never_answers_is_said(copy, content, tool, host, reasons):
    answer = download(copy, f"http://{host}/cells.zip", content, tool=tool)
    assert_failed(copy, answer, *reasons)


def test_a_full_disk_is_said_and_what_arrived_is_kept(copy, server, content, tool):
    answer = download(copy, server.url, content, tool=tool, file_limit=100_000)
    assert_failed(copy, answer, "cannot write cell_images.zip.part (is the disk full?)")
    assert_done(copy, download(copy, server.url, content, tool=tool))
    assert server.ranges == [None, "bytes=100000-"]


def test_a_disk_that_is_full_when_a_file_is_copied_or_unpacked_is_said(copy, content, tmp_path):
    (tmp_path / "cells.zip").write_bytes(content)
    url = (tmp_path / "cells.zip").as_uri()
    answer = download(copy, url, content, file_limit=100_000)
    assert_failed(copy, answer, f"cannot copy {url}", "too large")
    part_of(copy).write_bytes(content)
    answer = download(copy, url, content, file_limit=100_000)
    assert_failed(copy, answer, "cannot unpack", "too large")
    assert part_of(copy).read_bytes() == content
    assert_done(copy, download(copy, url, content))


@pytest.mark.parametrize(
    ("url", "tool", "reason"),
    [
        *(
            (url, "curl", f"cannot fetch {shown}: expected an http, https or file address")
            for url, shown in [("a", "a"), ("file:/dev/zero", "file:/dev/zero"),
                               ("ftp://host/\033[2J\rok", "ftp://host/?[2J?ok"),
                               ("ftp://h/\x9b\u202e\udcff", "ftp://h/??????")]
        ),
        ("FILE:///dev/zero", "curl", "/dev/zero is not a regular file: expected a zip"),
        ("file:///\033\n  \u202e", "curl", r"cannot copy file:///\x1b\n  \u202e: [Errno 2] No"),
        ("http://127.0.0.1:1/", NEITHER, "expected curl or wget, found neither"),
    ],
)  # fmt: skip
def test_what_cannot_be_fetched_at_all_is_said_at_once(copy, content, url, tool, reason):
    assert_failed(copy, download(copy, url, content, tool=tool), reason)
    assert not part_of(copy).exists()


def test_a_pipe_in_the_place_of_the_part_is_refused_and_stays(copy, server, content):
    os.mkfifo(part_of(copy))
    answer = download(copy, server.url, content)
    assert_failed(copy, answer, "cell_images.zip.part is not a regular file; move it away")
    assert part_of(copy).is_fifo()


@pytest.mark.parametrize(
    ("name", "make"),
    [("lock", os.symlink), ("part", os.symlink), ("part.log", os.link)],
)
def test_a_link_in_the_place_of_a_file_of_its_own_is_refused_and_stays(
    copy, server, content, name, make
):
    mine, link = copy.parent / "mine", copy / f"cell_images.zip.{name}"
    mine.write_bytes(b"mine")
    make(mine, link)
    answer = download(copy, server.url, content)
    assert_failed(copy, answer, f"cannot write cell_images.zip.{name}: it is a link: delete it")
    assert mine.read_bytes() == b"mine"
    assert server.ranges == []
    assert link.exists()


def test_a_file_address_needs_neither_tool(copy, content, tmp_path):
    source = tmp_path / "a b%.zip"
    source.write_bytes(content)
    assert_done(copy, download(copy, source.as_uri(), content, tool=NEITHER))
    assert source.read_bytes() == content


def test_a_machine_without_python_is_told(copy, content):
    write_program(copy.parent / "old" / "python3", "exit 1")
    path = make_path(copy.parent / "old")
    answer = download(copy, "http://127.0.0.1:1/", content, PATH=str(path))
    assert_failed(copy, answer, "expected Python 3.10 or newer")


def test_a_folder_of_somebody_else_is_not_touched(copy, server, content):
    (copy / "cell_images").mkdir()
    (copy / "cell_images/mine.png").write_bytes(b"mine")
    said = "error: cell_images exists and was not made by download.sh; move it away and run again"
    assert download(copy, server.url, content) == (1, "", [said])
    assert [path.name for path in (copy / "cell_images").iterdir()] == ["mine.png"]
    assert server.ranges == []


def test_arguments_are_wrong_use(copy):
    command = ["bash", str(copy / "download.sh"), "--fast"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert answer.stderr.startswith("usage: bash download.sh")


def test_killed_while_it_unpacks_it_leaves_no_data_set_and_runs_again(copy, server, content):
    replace_unpacking(copy, "os.kill(os.getpid(), 9)")
    assert download(copy, server.url, content)[0] == 128 + signal.SIGKILL
    assert (copy / ".cell_images.partial").exists()
    assert (copy / ".cell_images.lock").exists()
    assert not (copy / "cell_images").exists()

    shutil.rmtree(copy / ".venv")
    assert_done(copy, download(copy, server.url, content))
    assert len(server.ranges) == 1


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130)])
def test_stopped_while_it_fetches_it_goes_on_the_next_time(copy, server, content, name, status):
    write_program(
        make_path(copy.parent / "with curl") / "curl",
        f"printf half > '{part_of(copy)}'; touch '{copy.parent}/begun'; exec {SLEEP} 30",
    )
    stopped, lines = stop_when_begun(copy, server.url, content, getattr(signal, name))
    assert stopped == status
    assert part_of(copy).read_bytes() == b"half"
    if name == "SIGINT":
        assert lines[-1].startswith("interrupted: what arrived is kept in cell_images.zip.part")
        assert lines[-1].endswith("run bash download.sh again to go on")

    part_of(copy).write_bytes(content[:10])
    (copy.parent / "with curl/curl").unlink()
    assert download(copy, server.url, content)[:2] == (0, RESULT)
    assert server.ranges == ["bytes=10-"]


def stop_when_begun(copy, url, content, number=signal.SIGINT):
    """Send the signal as soon as the file "begun" is there; returns (exit status, lines)."""
    path = make_path(copy.parent / "with curl")
    (path / "touch").symlink_to(shutil.which("touch"))
    with start(copy, url, content) as process:
        wait_for(copy.parent / "begun")
        os.killpg(process.pid, number)
        lines = process.communicate(timeout=60)[1].splitlines()
    return process.returncode, lines


def test_of_two_at_once_the_second_says_so_and_the_first_ends_well(copy, server, content):
    server.gate = threading.Event()
    with start(copy, server.url, content) as first:
        wait_for(part_of(copy))
        status, out, lines = download(copy, server.url, content)
        server.gate.set()
        result = first.communicate(timeout=60)[0]
    assert (status, out) == (1, "")
    assert_busy(lines, first)
    assert_done(copy, (first.returncode, result))
    assert len(server.ranges) == 1


def assert_busy(lines, owner):
    [line] = lines
    said = f"error: the cell images are being fetched by process {owner.pid} since "
    assert re.fullmatch(said + r"\d{4}-\d\d-\d\d [\d:]+: wait until it ends", line)


def test_of_many_started_together_one_fetches_and_the_data_set_is_whole(copy, server, content):
    processes = [start(copy, server.url, content) for _ in range(4)]
    answers = [(*process.communicate(timeout=60), process.wait()) for process in processes]
    assert len(server.ranges) == 1
    [done] = [(status, out) for out, _, status in answers if out == RESULT]
    assert_done(copy, done)
    for out, err, status in answers:
        assert (status == 0) == (not err.startswith("error: the cell images are being fetched by"))
        assert bool(out) == (status == 0)


@pytest.mark.parametrize("name", ["SIGKILL"])
def test_what_a_killed_run_left_at_work_is_waited_for_and_then_built_on(
    copy, server, content, name
):
    server.gate = threading.Event()
    with start(copy, server.url, content) as first:
        wait_for(part_of(copy))
        os.kill(first.pid, getattr(signal, name))
        assert first.wait(timeout=60) == -getattr(signal, name)
        # curl goes on without its shell.
        assert_busy(download(copy, server.url, content)[2], first)
        server.gate.set()
        first.communicate(timeout=60)  # ends when curl has closed its end
    assert_done(copy, download(copy, server.url, content))
    assert len(server.ranges) == 1


def test_ctrl_c_while_python_loads_is_one_line(copy, server, content):
    write_program(
        copy / ".venv/bin/python",
        f'case "$*" in *digest*) touch "{copy.parent}/begun"; {SLEEP} 1 ;; esac\n'
        f'exec "{sys.executable}" "$@"',
    )
    part_of(copy).write_bytes(content[:10])
    status, lines = stop_when_begun(copy, server.url, content)
    assert status == 130
    assert [line.partition(":")[0] for line in lines] == ["interrupted"]


def test_ctrl_c_while_it_unpacks_is_one_line_and_leaves_no_data_set(copy, content):
    replace_unpacking(copy, "os.killpg(0, signal.SIGINT)")
    part_of(copy).write_bytes(content)
    status, out, lines = download(copy, "http://127.0.0.1:1/", content)
    assert (status, out) == (130, "")
    assert [line.partition(":")[0] for line in lines] == ["unpacking", "interrupted"]
    assert left_in(copy) == {"cell_images.zip.part", "download.sh", "malaria"}


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never appeared"
        time.sleep(0.01)


def test_the_default_is_the_archive_of_the_nlm():
    script = (REPOSITORY / "download.sh").read_text(encoding="utf-8")
    assert "https://data.lhncbc.nlm.nih.gov/public/Malaria/cell_images.zip" in script
    assert "0a949556b2414159b5100192609805376654c4266d8d187be9b1922fad43c668" in script
