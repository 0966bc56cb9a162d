"""Tests of malaria/pictures/remote*.py: images on other machines, and of what uses them."""

import functools
import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from malaria import load_classifier
from malaria.base.errors import UserError
from malaria.cli.command import run_script
from malaria.cli.inputs import Inputs
from malaria.cli.run import main
from malaria.data.drawn_cells import write_cells
from malaria.data.listing import Listing
from malaria.inference.predict import predict
from malaria.outputs.html_parts import link_to
from malaria.pictures import remote, remote_files, remote_folders, remote_path
from malaria.pictures.folders import find_images, is_folder
from malaria.pictures.images import PixelFormat, UnreadableImageError, read_image
from malaria.pictures.passed_over import PassedOver
from malaria.pictures.places import Places
from malaria.pictures.remote_path import RemotePath, parts_below, real_name, to_path

TOP = Path(__file__).parents[2]
SIZE = PixelFormat((8, 8))


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Drawn cells, and what does not belong among them."""
    place = tmp_path_factory.mktemp("site")
    write_cells(place / "cells", 4, seed=1, patients=2)
    (place / "cells" / ".hidden.png").write_bytes(b"not an image")
    (place / "cells" / "notes.txt").write_text("not an image")
    (place / "cells" / "Parasitized" / "C9 a#b%20.png").write_bytes(b"not an image")
    return place


@pytest.fixture(scope="module")
def site(cells):
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            if not self.path.startswith("/endless/"):
                return super().do_GET()
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(bytes(1000))

    handler = functools.partial(Handler, directory=str(cells))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def memory(monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    monkeypatch.setitem(remote_path.SCHEMES, "memory", "nothing")
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    monkeypatch.setattr(remote, "_connect", lambda scheme: AsyncFileSystemWrapper(files))
    monkeypatch.setattr(remote_files, "_kept", {})
    return files


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function that does what run.py does in `tmp_path`: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: (run_script(main, [*map(str, arguments)]), *capsys.readouterr())


@pytest.mark.parametrize(
    "name", ["file:///a.png", "simplecache::s3://b/a.png", "ftp://h/a.png", "memory://a", "s3:/b/a"]
)
def test_only_the_names_of_known_schemes_are_remote(name):
    assert isinstance(to_path(name), Path)


def test_a_remote_path_keeps_its_url_and_has_names_as_people_read_them():
    path = to_path("HTTPS://host/a/C1%20b.png?key=x/y#z")
    assert str(path) == "https://host/a/C1%20b.png?key=x/y#z"
    assert (path.name, path.stem, path.suffix) == ("C1 b.png", "C1 b", ".png")
    assert path.parent == RemotePath("https://host/a/")
    assert path.parent.parent.parent == RemotePath("https://host/")
    assert to_path("s3://b/x%20?#.png").name == "x%20?#.png"
    assert real_name(RemotePath("s3://b/x/")) == "s3://b/x"


@pytest.mark.parametrize("name", ["..%2F..%2Fa.png", "%2e%2e", "a%00.png"])
def test_no_percent_sign_hides_a_way_to_another_folder(name):
    assert to_path(f"https://host/{name}").name == name
    assert Places([to_path("s3://b")]).folders_of(to_path("s3://b/x/../../y.png")) == ("x",)


def test_a_path_lies_below_a_folder_of_the_same_machine_only():
    assert parts_below(to_path("s3://b/x/y.png"), to_path("s3://b/")) == ("x", "y.png")
    assert parts_below(to_path("s3://b/x/y.png"), to_path("s3://c")) is None
    assert parts_below(to_path("/b/x.png"), to_path("s3://b")) is None
    assert parts_below(Path("a/b"), Path("a")) == ("b",)


def test_a_remote_folder_gives_the_rows_of_the_same_folder_here(run, cells, site):
    _, here, said_here = run("--image", cells / "cells")
    _, there, said_there = run("--image", f"{site}/cells/")
    expected = here.replace(f"{cells}/cells/", f"{site}/cells/")
    assert there == expected.replace("C9 a#b%20.png", "C9%20a%23b%2520.png")
    assert len(there.splitlines()) == 9
    *said_there, passed_over = said_there.splitlines()[1:]
    assert said_there == said_here.splitlines()[1:-1]
    both = ["1 .txt, 1 hidden", "1 hidden, 1 .txt"]
    assert passed_over in [f"passed over, not images: {order}" for order in both]


def test_lists_here_and_there_name_images_there(run, cells, site, tmp_path):
    names = sorted(path.relative_to(cells) for path in cells.glob("cells/*/*thin*.png"))
    lines = [f"{name},{name.parent.name}" for name in names]
    (cells / "there.csv").write_text("path,label\n" + "\n".join(lines))
    (tmp_path / "here.txt").write_text("".join(f"{site}/{name}\n" for name in names))
    status, there, _ = run(f"--image={site}/there.csv")
    assert status == 0
    rows = [line.partition("\t")[0] for line in there.splitlines()]
    assert rows == [f"{site}/{name}" for name in names]
    assert run("--image=@here.txt")[1] == there
    status, _, said = run(f"--image={site}/there.csv", "--evaluate", "--count_only")
    assert status == 0, said
    assert json.loads((tmp_path / "metrics.json").read_text())["images"] == 8


def test_a_labelled_folder_there_is_evaluated_reported_and_its_rows_resumed(run, site, tmp_path):
    options = ["--evaluate", "--report=a.html", "--output=a.csv", "--plot=a.png"]
    assert run(f"--image={site}/cells/", *options)[0] == 1  # one image is none
    assert json.loads((tmp_path / "metrics.json").read_text())["images"] == 8
    page = (tmp_path / "a.html").read_text()
    assert page.count('"image": "data:image/jpeg') == 8
    assert f'"link": "{site}/cells/Parasitized/' in page
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert rows[2].startswith(f"{site}/cells/Parasitized/C1")


def test_an_interrupted_output_goes_on(cells, site, tmp_path):
    from malaria.outputs.writer import Writer

    path = to_path(f"{site}/cells/Parasitized/")
    known = {
        "source": Inputs([str(path)]).identity,
        "labels": load_classifier().metadata.labels,
        "model": "m",
    }
    first = next(find_images(path))
    writer = Writer(tmp_path / "a.csv", resume=False, **known)
    [prediction] = predict([first], load_classifier())
    writer.add(prediction)
    writer.close()
    writer = Writer(tmp_path / "a.csv", resume=True, **known)
    assert list(writer.without_written([first, path / "other.png"])) == [path / "other.png"]
    assert [one.path for one in writer.earlier()] == [first]
    writer.close()


def test_the_python_interface_takes_urls(cells, site):
    classifier = load_classifier()
    folder = f"{site}/cells/Uninfected/"
    there = classifier.classify(folder)
    here = classifier.classify(cells / "cells" / "Uninfected")
    for one, same in zip(there, here, strict=True):
        assert (one.label, one.probabilities) == (same.label, same.probabilities)
    assert classifier.classify(str(there[0].path)) == there[:1]


def test_a_link_leads_to_an_image_where_a_browser_can_go():
    assert link_to(to_path("https://host/a%20b.png"), Path("out")) == "https://host/a%20b.png"
    assert link_to(to_path("s3://b/a.png"), Path("out")) is None


def test_a_store_is_listed_as_a_folder_here(memory):
    names = ["a.gif", "b/1.PNG", "b/2.png", "b/x/3.tif"]
    for name in [*reversed(names), "b/._1.png", "b/__MACOSX/4.png", "b/5"]:
        memory.pipe(f"/store/{name}", b"")
    passed_over = PassedOver()
    found = [str(path) for path in find_images(to_path("memory://store/"), passed_over)]
    assert found == [f"memory://store/{name}" for name in names]
    assert passed_over.files == {"hidden": 2, "no ending": 1}
    assert is_folder(to_path("memory://store/b"))
    assert not is_folder(to_path("memory://store/b/5"))


def test_a_page_is_searched_for_what_lies_directly_in_it(monkeypatch):
    page = b"""<A class=x HREF='b.png'>, <a href="/f/a%20a.png">, <a href=c.png?C=N>,
    <a href="../d.png"> <a href="https://other/f/e.png">, <a href="g/">, <a href="g/h.png">,
    <a href="file:///f/i.png">, <a href="javascript:j.png">, <a href="b.png#k">,
    <a href="l&amp;m.png"> <p href="n.png">"""
    monkeypatch.setattr(remote_folders, "read_remote", lambda *known: BytesIO(page))
    folder = RemotePath("https://host/f/")
    files, folders = remote_folders.list_remote(folder, Counter())
    assert files == [folder / name for name in ("a%20a.png", "b.png", "l&m.png")]
    assert folders == [RemotePath("https://host/f/g/")]


@pytest.fixture
def pages(monkeypatch):
    """A function that sets what stands on the page of every folder, and so has no end."""

    def give(text):
        monkeypatch.setattr(remote_folders, "read_remote", lambda *known: BytesIO(text.encode()))
        return RemotePath("https://host/f/")

    return give


@pytest.mark.parametrize(
    "links", [["a/"], ["a/", "b/"], [f"{n}/" for n in range(2000)], ["a.png", "a/"]]
)
def test_pages_that_link_to_folders_without_end_are_refused(pages, links):
    folder = pages("".join(f"<a href={link}>" for link in links))
    said = (
        "https://host/f/: expected at most 10,000 folders below it, and at most 30 deep; found more"
    )
    with pytest.raises(UserError, match=said):
        deque(find_images(folder), maxlen=0)


def test_a_page_of_links_without_end_is_refused(pages, monkeypatch):
    monkeypatch.setattr(remote_folders, "MAX_LINKS", 100)
    text = "".join(f"<a href={number}.png>" for number in range(101))
    assert len(list(find_images(pages(text[: text.index("<a href=100")])))) == 100
    said = "cannot list the folder https://host/f/: more than the 100 links allowed"
    with pytest.raises(UserError, match=said):
        list(find_images(pages(text)))


def test_what_is_not_there_is_a_row_or_a_line(run, site):
    answer = run("--image", f"{site}/none.png")
    assert answer[:2] == (1, f"{site}/none.png\tunreadable\tnot found\n")
    said = f"error: cannot list the folder {site}/none/: not found\n"
    assert run("--image", f"{site}/none/") == (1, "", said)


def test_a_list_that_is_not_there_or_of_another_scheme_is_refused(memory):
    with pytest.raises(UserError, match=r"cannot read memory://b/list\.csv: not found"):
        Inputs(["memory://b/list.csv"])
    with pytest.raises(UserError, match="no file or folder ftp://h/a; URLs may begin with s3"):
        Inputs(["ftp://h/a"])


def test_a_list_there_names_nothing_here(memory):
    memory.pipe("/b/lists/a.txt", b"../c/a.png\n../../../../d.png\nmemory://e/a.png\n")
    names = [str(entry.path) for entry in Listing(to_path("memory://b/lists/a.txt"))]
    assert names == ["memory://b/c/a.png", "memory://b/d.png", "memory://e/a.png"]
    memory.pipe("/b/lists/b.txt", b"/etc/a.png\n")
    said = r"b\.txt: expected URLs, or paths .*; received '/etc/a\.png'"
    with pytest.raises(UserError, match=said):
        Listing(to_path("memory://b/lists/b.txt"))


def test_a_tiff_in_memory_opens_no_file_here(memory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("other.ome.tif", np.full((8, 8), 200, np.uint8))
    opened = []
    sys.addaudithook(lambda event, known: opened.append(known[0]) if event == "open" else None)
    ome = (
        '<OME><Image ID="Image:0"><Pixels DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="8" '
        'SizeC="2" SizeZ="1" SizeT="1"><TiffData IFD="0" FirstC="0" PlaneCount="1"><UUID '
        'FileName="a.ome.tif">urn:uuid:1</UUID></TiffData><TiffData IFD="0" FirstC="1" '
        'PlaneCount="1"><UUID FileName="other.ome.tif">urn:uuid:2</UUID></TiffData></Pixels>'
        "</Image></OME>"
    )
    tifffile.imwrite("a.ome.tif", np.zeros((8, 8), np.uint8), description=ome, metadata=None)
    memory.pipe("/b/a.ome.tif", Path("a.ome.tif").read_bytes())
    # A large one comes by way of the disk.
    for path, is_here, part in (
        ("a.ome.tif", True, 1000),
        ("memory://b/a.ome.tif", False, 1000),
        ("memory://b/a.ome.tif", False, 100),
    ):
        monkeypatch.setattr(remote_files, "PART_BYTES", part)
        monkeypatch.setattr(remote_files, "_kept", {})
        opened.clear()
        with suppress(UnreadableImageError):
            read_image(path, SIZE)
        assert any("other" in str(name) for name in opened) == is_here


def test_a_12_bit_tiff_is_scaled_by_what_lies_beside_it(memory, tmp_path, capsys):
    levels = np.full((8, 8), 500, np.uint16)
    for name, factor in (("a.tif", 1), ("b.tif", 8)):
        tifffile.imwrite(tmp_path / name, levels * factor)
        memory.pipe(f"/b/{name}", (tmp_path / name).read_bytes())
    here = read_image(tmp_path / "a.tif", SIZE)
    np.testing.assert_array_equal(read_image("memory://b/a.tif", SIZE), here)
    assert here.max() == 500 >> 4
    assert "memory://b/: its 16-bit .tif images use 12 bits" in capsys.readouterr().err


@pytest.mark.parametrize("more", [0, 1, 3000, 3001])
def test_a_large_file_is_read_in_parts_and_one_too_large_refused(memory, monkeypatch, more):
    monkeypatch.setattr(remote_files, "MAX_FILE_BYTES", 5000)
    monkeypatch.setattr(remote_files, "PART_BYTES", 1000)
    content = BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 20)).save(content, "PNG")
    memory.pipe("/b/a.png", content.getvalue().ljust(2000 + more, b"\0"))
    if more <= 3000:
        assert read_image("memory://b/a.png", SIZE)[0, 0].tolist() == [200, 10, 20]
    else:
        with pytest.raises(UnreadableImageError, match="more than the 5,000 bytes allowed"):
            read_image("memory://b/a.png", SIZE)


def test_of_endless_files_a_few_at_a_time_are_fetched_up_to_the_limit_and_onto_the_disk(
    site, monkeypatch
):
    monkeypatch.setattr(remote_files, "MAX_FILE_BYTES", 5000)
    monkeypatch.setattr(remote_files, "PART_BYTES", 1000)
    at_work, most = [], []

    class Counted(BytesIO):
        def __init__(self):
            super().__init__()
            at_work.append(self)
            most.append(len(at_work))
            time.sleep(0.01)

        def close(self):
            if not self.closed:
                at_work.remove(self)
            super().close()

    monkeypatch.setattr(remote_files, "TemporaryFile", Counted)
    paths = [RemotePath(f"{site}/endless/{number}.png") for number in range(40)]
    found = list(predict(paths, load_classifier()))
    assert {one.error for one in found} == {"more than the 5,000 bytes allowed"}
    assert [one.path for one in found] == paths
    assert at_work == []
    assert 1 < max(most) <= remote_files.LARGE


def test_a_file_that_drips_without_an_end_is_given_up_after_its_time(site, monkeypatch):
    monkeypatch.setattr(remote_files, "WEB_SECONDS", 0.5)
    monkeypatch.setattr(remote_files, "PART_BYTES", 10**9)
    with pytest.raises(UnreadableImageError, match=r"^it did not end within 0.5 seconds$"):
        read_image(RemotePath(f"{site}/endless/a.png"), SIZE)


def test_what_was_fetched_is_kept_until_it_makes_room_for_the_last(memory, monkeypatch):
    monkeypatch.setattr(remote_files, "KEPT_BYTES", 10)

    def fetch(name, content):
        memory.pipe(f"/b/{name}", content)
        with remote_files.open_remote(RemotePath(f"memory://b/{name}")) as file:
            return file.read()

    for name in "abc":
        assert fetch(name, b"1234") == b"1234"
    assert [path.name for path in remote_files._kept] == ["b", "c"]
    assert fetch("c", b"changed") == b"1234"
    assert fetch("d", bytes(11)) == bytes(11)
    assert remote_files._kept == {}


# As botocore names it.
NoCredentialsError = type("NoCredentialsError", (Exception,), {})


def http_error(status):
    """As aiohttp's."""
    return type("ClientResponseError", (Exception,), {"status": status})("told")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError("s3://b"), "not found"),
        (PermissionError("Forbidden"), "access denied"),
        (NoCredentialsError(), "access denied: no credentials"),
        (http_error(403), "access denied"),
        (http_error(404), "not found"),
        (http_error(500), "cannot be read: told"),
        (TimeoutError(), "no answer"),
        (ConnectionRefusedError("refused\nhere"), "no answer: refused here"),
        (ValueError(), "cannot be read: ValueError"),
    ],
)
def test_an_error_is_told_in_a_few_words(error, reason):
    assert remote.describe(error) == reason


@pytest.mark.parametrize("missing", ["fsspec", "aiohttp"])
def test_where_a_package_is_missing_its_installation_is_told(run, tmp_path, monkeypatch, missing):
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    (tmp_path / "list.txt").write_text("http://127.0.0.1:1/a.png\n" * 3)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(remote, "_connect", remote._connect.__wrapped__)
    said = "error: http:// needs fsspec and aiohttp: pip install fsspec aiohttp\n"
    assert run("--image=@list.txt") == (1, "", said)


def test_ctrl_c_does_not_wait_for_a_server_that_never_answers(tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "list.txt").write_text("".join(f"{address}/{n}.png\n" for n in range(80)))
        command = [sys.executable, TOP / "run.py", "--image", "@list.txt"]
        pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
        with (
            subprocess.Popen(command, cwd=tmp_path, **pipes) as process,
            server.accept()[0] as connection,
        ):
            connection.recv(10)
            process.send_signal(signal.SIGINT)
            # Sooner than it would give up the server.
            said = process.communicate(timeout=remote.SILENT_SECONDS - 5)[1]
    assert said.endswith(b"interrupted\n")
    assert process.returncode == 130
