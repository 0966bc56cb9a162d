"""inputs: what --image names, as one stream of paths: images, folders, lists and stdin."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.data.listing import STDIN, Entry, Listing, Stdin, is_table
from malaria.pictures.folders import describe_skipped, find_images, is_folder, not_empty
from malaria.pictures.limits import KINDS
from malaria.pictures.remote_path import SCHEMES, AnyPath, RemotePath, real_name, to_path


class Inputs:
    """The images that --image names, in order.

    skipped: what was passed over in folders, by ending, as far as `paths` has come.
    """

    def __init__(self, names: Sequence[str], interval: tuple[int, int] | None = None) -> None:
        """names: images, folders, "-" for paths on stdin, "@list.txt" and "list.csv" for lists.

        All but stdin may be URLs. interval: only the images A to B-1. Raises UserError for what is
        not there.
        """
        self.names, self.interval = list(names), interval
        self.skipped: Counter[str] = Counter()
        self._lists = [_open_list(name) for name in names]
        self._tables = [one for one in self._lists if one is not None and one.says_more]

    @property
    def folder(self) -> AnyPath | None:
        """The folder, where it is a single one that --image names."""
        path = to_path(self.names[0])
        return path if len(self.names) == 1 and is_folder(path) else None

    @property
    def roots(self) -> list[AnyPath]:
        """The folders among the names."""
        return [path for path in map(to_path, self.names) if is_folder(path)]

    @property
    def has_labels(self) -> bool:
        """Whether the lists say a label of every image."""
        lists = [one for one in self._lists if one is not None]
        every = (entry.label for table in self._tables for entry in table)
        return bool(lists) and lists == self._tables and all(every)

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise UserError if a list says no label of an image, or another than one of these."""
        for name, listed in zip(self.names, self._lists, strict=True):
            for number, entry in enumerate(listed or (), start=1):
                if entry.label not in labels:
                    received = "none" if entry.label is None else quote(entry.label)
                    raise UserError(
                        f"{printable(name)}, image {number}: expected a label of {list(labels)}; "
                        f"received {received}"
                    )

    @cached_property
    def _known(self) -> dict[AnyPath, Entry]:
        """What tables say of their images, where they have a column for it; held in memory."""
        return {entry.path: entry for table in self._tables for entry in table}

    @property
    def notes(self) -> list[str]:
        """Lines about the images that were named, once `paths` has come to its end."""
        return [describe_skipped(self.skipped)] if self.skipped else []

    @property
    def identity(self) -> str:
        """The same for the same names, however they are spelled, and the same interval."""
        real = [name if name == STDIN else real_name(to_path(name)) for name in self.names]
        return repr((real, self.interval))

    def label_of(self, path: AnyPath) -> str | None:
        """The label that a list says of an image, or None."""
        return self._known.get(path, Entry(path)).label

    def patient_of(self, path: AnyPath) -> str | None:
        """The patient that a list says of an image, or None."""
        return self._known.get(path, Entry(path)).patient

    def paths(self) -> Iterator[AnyPath]:
        """An iterator over all images. Raises UserError at once if there are none."""
        where = printable(", ".join(self.names))
        every = not_empty(
            chain.from_iterable(map(self._expand, self.names, self._lists)),
            f"--image: no images in {where}: expected {KINDS}",
        )
        if self.interval is None:
            return every
        return not_empty(
            islice(every, *self.interval),
            f"--slice: there are fewer than {self.interval[0] + 1} images",
        )

    def _expand(self, name: str, listed: Listing | Stdin | None) -> Iterator[AnyPath]:
        if listed is not None:
            return (entry.path for entry in listed)
        path = to_path(name)
        return find_images(path, self.skipped) if is_folder(path) else iter([path])


def _open_list(name: str) -> Listing | Stdin | None:
    """The list of that name; None for an image or a folder. Raises UserError."""
    if name == STDIN:
        return Stdin()
    if name == "":
        raise UserError("--image: expected an image, a folder or a list; received an empty name")
    if name.startswith("@") and not os.path.lexists(name):
        return Listing(to_path(name[1:]))
    path = to_path(name)
    if isinstance(path, Path) and not os.path.exists(path):
        known = ", ".join(f"{one}://" for one in SCHEMES)
        more = f"; URLs may begin with {known}" if "://" in name else ""
        raise UserError(f"--image: no file or folder {printable(name)}{more}")
    is_list = is_table(path) and (isinstance(path, RemotePath) or path.is_file())
    return Listing(path) if is_list else None
