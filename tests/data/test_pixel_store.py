"""Tests of malaria/data/pixel_store.py."""

import errno
import os
import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.data import pixel_store as pixels
from malaria.data import reading
from malaria.data.dataset import Sample
from malaria.pictures.images import PixelFormat, read_image

FORMAT = PixelFormat((6, 5))
CACHES = ["memory", "disk", "none"]
REASON = "not an image of a known kind"


@pytest.fixture
def samples(write_cells):
    """Twelve samples; the third and the last are no images, the fifth leads nowhere."""
    paths = sorted(write_cells(count=3).rglob("*.png"))
    for number in (2, -1):
        paths[number].write_text("no image")
    paths[4].unlink()
    paths[4].symlink_to("nowhere")
    return [Sample(path, number % 2, "1") for number, path in enumerate(paths)]


def load(samples, cache, folder="unused", pixel_format=FORMAT):
    return pixels.load_pixels(samples, pixel_format, cache=cache, folder=folder)


def entries(folder):
    return sorted(entry.name for entry in Path(folder).iterdir())


@pytest.mark.parametrize("cache", CACHES)
def test_every_cache_gives_each_sample_its_pixels_or_the_reason(samples, tmp_path, cache):
    reasons = {2: REASON, 4: "no such file", 11: REASON}
    for _ in range(2):  # the second time from what is on the disk
        loaded, unreadable = load(samples, cache, tmp_path / "cache")
        assert unreadable == {samples[n].path: reason for n, reason in reasons.items()}
        known = [replace(one, content=None) for one in loaded.samples]
        assert known == [samples[n] for n in range(12) if n not in reasons]
        indices = np.array([8, 0, 3, 3])
        received = loaded.read(indices)
        assert received.dtype == np.uint8
        expected = [read_image(loaded.samples[index].path, FORMAT) for index in indices]
        np.testing.assert_array_equal(received, expected)
    assert (tmp_path / "cache").exists() == (cache == "disk")


@pytest.mark.parametrize("cache", CACHES)
def test_images_of_the_same_pixels_have_the_same_content_in_whichever_files(tmp_path, cache):
    levels = np.random.default_rng(1).integers(256, size=(9, 7), dtype=np.uint8)
    image, turned = Image.fromarray(levels), Image.fromarray(levels.T.copy())
    opaque = image.convert("RGBA")
    exif = Image.Exif()
    exif[0x0112] = 5  # turned and flipped by who shows it
    for name, one, known in (
        ("a.png", image, {}), ("b.bmp", image, {}), ("c.tif", image.convert("RGB"), {}),
        ("d.png", opaque, {"dpi": (72, 72)}), ("e.png", turned, {"exif": exif}),
        ("f.png", turned, {}), ("g.png", Image.fromarray(levels ^ 1), {}),
        ("h.png", Image.fromarray(levels.reshape(7, 9)), {}),
    ):  # fmt: skip
        one.save(tmp_path / name, **known)
    samples = [Sample(path, 0, None) for path in sorted(tmp_path.glob("*.*"))]
    for _ in range(2):  # the second time from what is on the disk
        loaded, _ = load(samples, cache, tmp_path / "cache")
        contents = [one.content for one in loaded.samples]
        assert len(set(contents[:5])) == 1
        assert len(set(contents)) == 4


@pytest.mark.parametrize("cache", CACHES)
def test_nothing_readable_is_told_with_an_example(samples, tmp_path, cache):
    message = f"none of 2 images is readable, e.g. {samples[2].path}"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        load([samples[2], samples[-1]], cache, tmp_path / "cache")


def is_painted(loaded):
    return bool((loaded.read(np.arange(len(loaded.samples))) == 77).all())


def change_file(path, more=b"", later=0):
    status = path.stat()
    path.write_bytes(path.read_bytes() + more)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + later))


@pytest.mark.parametrize(
    "change",
    [
        lambda samples: (samples, PixelFormat((5, 6))),
        lambda samples: (samples, PixelFormat((6, 5), colour="BGR")),
        lambda samples: (samples, PixelFormat((6, 5), resampling="bicubic")),
        lambda samples: (samples[1:], FORMAT),
        lambda samples: (samples[::-1], FORMAT),
        lambda samples: (change_file(samples[5].path, later=1), (samples, FORMAT))[1],
        lambda samples: (change_file(samples[5].path, more=b"\0"), (samples, FORMAT))[1],
    ],
    ids=["size", "colour", "filter", "fewer files", "other order", "newer file", "longer file"],
)
def test_the_cache_is_used_again_but_not_for_anything_else(samples, tmp_path, change):
    load(samples, "disk", tmp_path / "cache")
    # Changed, so that whoever reads the cached pixels shows it.
    [cached] = (tmp_path / "cache").glob("[!.]*")
    np.load(cached / "pixels.npy", mmap_mode="r+")[:] = 77
    assert is_painted(load(samples, "disk", tmp_path / "cache")[0])
    changed, pixel_format = change(samples)
    loaded, _ = load(changed, "disk", tmp_path / "cache", pixel_format)
    assert not is_painted(loaded)
    first = read_image(loaded.samples[0].path, pixel_format)
    np.testing.assert_array_equal(loaded.read([0])[0], first)


def test_what_a_killed_run_left_half_made_is_never_used(samples, tmp_path, monkeypatch):
    # Interrupted while images are read, with the clearing up taken away: as a kill.
    with monkeypatch.context() as patched:
        patched.setattr(reading, "read_image", Mock(side_effect=KeyboardInterrupt))
        patched.setattr(pixels.shutil, "rmtree", Mock())
        with pytest.raises(KeyboardInterrupt):
            load(samples, "disk", tmp_path / "cache")
    [left] = entries(tmp_path / "cache")
    assert left.endswith(".partial")
    loaded, _ = load(samples, "disk", tmp_path / "cache")
    assert loaded.read([0]).any()
    assert not any(name.endswith(".partial") for name in entries(tmp_path / "cache"))


def test_an_interrupted_run_leaves_nothing(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "read_image", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        load(samples, "disk", tmp_path / "cache")
    assert entries(tmp_path / "cache") == []


FULL = "the 4 MB cache {}/\\w+: No space left on device; make room, or set cache: memory or none"


@pytest.mark.parametrize(
    ("owner", "function", "told"),
    [
        (os, "posix_fallocate", FULL),
        (Path, "mkdir", FULL),
        (os, "replace", r"{}/[\w.]+/found.json: No space left on device"),
    ],
)
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(
    samples, tmp_path, monkeypatch, owner, function, told
):
    folder = tmp_path / "cache"
    folder.mkdir()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(owner, function, Mock(side_effect=full))
    with pytest.raises(UserError, match=f"^cannot write {told.format(folder)}$"):
        load(samples, "disk", folder, PixelFormat((400, 300)))
    assert entries(folder) == []


def test_a_cache_may_be_a_link_of_the_users_own_and_none_of_another_user(
    samples, tmp_path, monkeypatch
):
    for name in ("disk", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "own").symlink_to("disk")
    load(samples, "disk", tmp_path / "own")
    assert len(entries(tmp_path / "disk")) == 1
    (tmp_path / "cache").symlink_to("other")
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UserError, match=rf"cannot write {tmp_path}/cache: it is a link: delete it"):
        load(samples, "disk", tmp_path / "cache")
    assert entries(tmp_path / "other") == []


def test_more_than_the_memory_holds_is_refused_before_reading():
    sample = Sample(Path("never_read.png"), 0, None)
    with pytest.raises(UserError, match="GB of memory: set cache: disk, or a smaller image_size"):
        load([sample] * 1_000_000, "memory", pixel_format=PixelFormat((4096, 4096)))


def test_images_without_a_cache_are_read_anew(samples):
    loaded, _ = load(samples, "none")
    Image.new("RGB", (5, 6), (1, 2, 3)).save(samples[0].path)
    np.testing.assert_array_equal(loaded.read([0])[0, 0, 0], [1, 2, 3])


def test_forgotten_images_give_their_memory_back_and_a_cache_on_disk_stays(samples, tmp_path):
    in_memory, _ = load(samples, "memory")
    in_memory.forget()
    assert in_memory.stored.nbytes == 0
    on_disk, _ = load(samples, "disk", tmp_path / "cache")
    on_disk.forget()
    again, _ = load(samples, "disk", tmp_path / "cache")
    np.testing.assert_array_equal(again.stored, on_disk.stored)


def test_of_an_image_that_is_gone_when_it_is_read_again_the_name_is_told(samples):
    loaded, _ = load(samples, "none")
    samples[0].path.unlink()
    with pytest.raises(UserError) as caught:
        loaded.read([1, 0])
    said = "no such file, and it was readable when the run began: put it back and go on with"
    assert str(caught.value) == f"{samples[0].path}: {said} --resume"
    assert loaded.failures == [caught.value]
