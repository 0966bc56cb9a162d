"""remote_path: the name of an image on another machine, and AnyPath, whatever names an image."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import overload
from urllib.parse import unquote, urldefrag

from malaria.base.text import is_plain_name
from malaria.pictures.cell_in_field import CellInField

# What stands before :// in a remote name, and the package that fsspec needs for it. No other name
# is one, file:// and the chains of fsspec least of all: lists come from strangers.
SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}


@dataclass(frozen=True)
class RemotePath:
    """A URL, kept as it was given or listed. It asks nothing of the network.

    Not a Path: that would make one slash of two, and open what has the same name here.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def is_web(self) -> bool:
        return self.scheme.startswith("http")

    @cached_property
    def place(self) -> str:
        """The URL without what follows the path in one of http or https."""
        return re.split("[?#]", self.url, maxsplit=1)[0] if self.is_web else self.url

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The scheme with the host or bucket, then each name, as people read it."""
        host, *names = self.place.partition("://")[2].split("/")
        readable = map(_readable, names) if self.is_web else names
        return (f"{self.scheme}://{host}", *filter(None, readable))

    @property
    def name(self) -> str:
        """The last of `parts`; empty for a host or a bucket."""
        return self.parts[-1] if len(self.parts) > 1 else ""

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "RemotePath":
        """The folder that it lies in; of a host or a bucket itself."""
        if len(self.parts) == 1:
            return self
        return RemotePath(self.place.rstrip("/").rpartition("/")[0] + "/")

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(f"{self.place.rstrip('/')}/{name}")


def _readable(name: str) -> str:
    """Without percent signs, but for those that hide a slash."""
    plain = unquote(name, errors="surrogateescape")
    return plain if is_plain_name(plain) else name


# A file or a folder; and what most code has of an image: a name to show, to sort, and to tell a
# patient by.
FilePath = Path | RemotePath
AnyPath = FilePath | CellInField
PATHS = (Path, RemotePath, CellInField)


@overload
def to_path(name: str | FilePath) -> FilePath: ...
@overload
def to_path(name: str | AnyPath) -> AnyPath: ...
def to_path(name: str | AnyPath) -> AnyPath:
    """The path that a name means, here or on another machine."""
    if isinstance(name, (RemotePath, CellInField)):
        return name
    scheme, separator, place = str(name).partition("://")
    if separator and scheme.lower() in SCHEMES:
        return RemotePath(scheme.lower() + separator + place)
    return Path(name)


def real_name(path: AnyPath) -> str:
    """The same for the same file, or cell in it, however its path is spelled."""
    if isinstance(path, CellInField):
        return f"{os.path.realpath(path)}#{path.box}"
    if not isinstance(path, RemotePath):
        return os.path.realpath(path)
    if not path.is_web:  # two slashes of a store are not one
        return path.url.rstrip("/")
    host, *names = path.parts
    query = urldefrag(path.url[len(path.place) :]).url
    # Apart, for a name may hold a question mark, as %3F.
    return "\n".join(["/".join([host.lower(), *names]), *filter(None, [query])])


def parts_below(path: AnyPath, folder: AnyPath) -> tuple[str, ...] | None:
    """The names from `folder` down to `path`; None if that does not lie in it."""
    count = len(folder.parts)
    return path.parts[count:] if path.parts[:count] == folder.parts else None
