"""places: where below a folder of results those of an image belong, and names that none shares."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from unicodedata import normalize

from malaria.pictures.remote_path import AnyPath, FilePath, RemotePath, parts_below, real_name

# Of a name, in bytes, so that what is added to it is not too long for a disk: those take 255.
LONGEST = 180


class Places:
    """Tells folders of images apart by as much of their names as they do not share.

    The place of an image depends on its own path and on what --image names alone, so that a run
    that goes on finds the same.
    """

    def __init__(self, folders: Iterable[FilePath], others: Iterable[FilePath] = ()) -> None:
        """folders: that --image names. others: the images and the lists that it names."""
        self.folders = list(folders)
        every = [*map(_parts, self.folders), *(_parts(one)[:-1] for one in others)]
        same = takewhile(lambda names: len(set(names)) == 1, zip(*every, strict=False))
        shared = tuple(names[0] for names in same)
        # What lies elsewhere is told from here, or from the top of its machine.
        self._bases = [base for base in (shared, Path.cwd().parts) if base]

    def folders_of(self, path: AnyPath) -> tuple[str, ...]:
        """The names of the folders that the results of an image belong in, the outermost first."""
        parts = _parts(path)
        host = parts[0].rpartition("/")[2]
        below = next(
            (parts[len(base) :] for base in self._bases if parts[: len(base)] == base),
            (host, *parts[1:]),
        )
        names = (name.replace("\0", "_") for name in below[:-1])
        return tuple(_fit(name) for name in names if name not in ("", ".", ".."))


class UniqueNames:
    """Gives each image a name of its own, also where the disk does not tell a from A.

    It remembers 100 bytes an image.
    """

    def __init__(self) -> None:
        self._taken: dict[int, int] = {}

    def find(self, name: str, path: AnyPath, folder: Sequence[str] = ()) -> str:
        """`name`; with digits of its own where another image has it in `folder`, or it is long."""
        real, short = real_name(path), name.replace("\0", "_")
        key = hash(normalize("NFKC", "/".join((*folder, short))).casefold())
        if self._taken.setdefault(key, hash(real)) != hash(real):
            return _with_digits(short, real)
        return _fit(short, real)


def source_of(path: AnyPath, sources: Iterable[FilePath]) -> FilePath | None:
    """The one of the sources, which are folders, that the image lies in, or None."""
    return next((one for one in sources if parts_below(path, one) is not None), None)


def _parts(path: AnyPath) -> tuple[str, ...]:
    return path.parts if isinstance(path, RemotePath) else Path(os.path.abspath(path)).parts


def _fit(name: str, of: str = "") -> str:
    return name if len(os.fsencode(name)) <= LONGEST else _with_digits(name, of or name)


def _with_digits(name: str, of: str) -> str:
    digits = hashlib.sha256(os.fsencode(of)).hexdigest()[:12]
    return f"{os.fsencode(name)[: LONGEST - 13].decode('utf-8', 'ignore')}_{digits}"
