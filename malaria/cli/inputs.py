"""inputs: what --image names, as one stream of paths: images, folders, lists and stdin."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.data.dataset import check_sub_folders, sub_folder_of
from malaria.data.listed_labels import ListedLabels, differ
from malaria.data.listing import STDIN, Listing, Stdin
from malaria.data.tables import is_table
from malaria.pictures.folders import find_images, is_folder, not_empty
from malaria.pictures.limits import KINDS
from malaria.pictures.passed_over import PassedOver
from malaria.pictures.remote_path import SCHEMES, AnyPath, FilePath, RemotePath, real_name, to_path
from malaria.pictures.same_file import Seen, file_number


class Inputs:
    """The images that --image names, in order, each file once.

    passed_over: what was not taken, as far as `paths` has come.
    """

    def __init__(
        self,
        names: Sequence[str],
        interval: tuple[int, int] | None = None,
        *,
        of_fields: bool = False,
        option: str = "--image",
    ) -> None:
        """names: images, folders, "-" for paths on stdin, "@list.txt" and "list.csv" for lists.

        All but stdin may be URLs. interval: only the images A to B-1. of_fields: of a table of
        cells its fields are taken. option: that has the names. Raises UserError for what is not
        there.
        """
        self.names, self.interval, self.option = list(names), interval, option
        self.passed_over = PassedOver()
        self._lists = [self._open_list(name, of_fields=of_fields) for name in names]
        self._tables = [one for one in self._lists if isinstance(one, Listing) and one.says]

    def _open_list(self, name: str, *, of_fields: bool) -> Listing | Stdin | None:
        """The list of that name; None for an image or a folder. Raises UserError."""
        if name == STDIN:
            return Stdin()
        if name == "":
            raise UserError(
                f"{self.option}: expected an image, folder or list; received an empty name"
            )
        if name.startswith("@") and not os.path.lexists(name):
            return Listing(to_path(name[1:]), of_fields=of_fields)
        path = to_path(name)
        if isinstance(path, Path) and not os.path.exists(path):
            known = ", ".join(f"{one}://" for one in SCHEMES)
            more = f"; URLs may begin with {known}" if "://" in name else ""
            raise UserError(f"{self.option}: no file or folder {printable(name)}{more}")
        is_list = is_table(path) and (isinstance(path, RemotePath) or path.is_file())
        return Listing(path, of_fields=of_fields) if is_list else None

    @cached_property
    def roots(self) -> list[FilePath]:
        """The folders among the names."""
        named = zip(self.names, self._lists, strict=True)
        return [to_path(one) for one, listed in named if not listed and is_folder(to_path(one))]

    def check_labels(self, labels: Sequence[str], *, are_assumed: bool = False) -> None:
        """Raise UserError if what was named says no labels, other ones, or two of an image.

        are_assumed: as of check_sub_folders.
        """
        roots = self.roots
        asked = "--evaluate" if self.option == "--image" else self.option
        for name, listed in zip(self.names, self._lists, strict=True):
            if isinstance(listed, Listing):
                listed.expect("label")
            elif to_path(name) not in roots:
                raise UserError(
                    f"{asked}: expected folders with sub-folders named as the labels, or tables "
                    f"with the columns path and label; received {printable(name)}"
                )
        for root in roots:
            check_sub_folders(root, labels, are_assumed=are_assumed)
        if self._tables:
            self._known.check(labels)
        for table in self._tables if roots else ():
            _check_against_folders(table, roots, labels)

    @cached_property
    def _known(self) -> ListedLabels:
        return ListedLabels(self._tables)

    @property
    def notes(self) -> list[str]:
        """Lines about the images that were named, once `paths` has come to its end."""
        return [*self.passed_over.describe()]

    @property
    def identity(self) -> str:
        """The same for the same names, however they are spelled, and the same interval."""
        real = [name if name == STDIN else real_name(to_path(name)) for name in self.names]
        return repr((real, self.interval))

    def label_of(self, path: AnyPath) -> str | None:
        """The label of an image: as a table says, or the sub-folder that it lies in; or None."""
        known = self._known.of(path)[0] if self._tables else None
        folders = (sub_folder_of(path, root) for root in self.roots)
        return known or next(filter(None, folders), None)

    def patient_of(self, path: AnyPath) -> str | None:
        """The patient that a table says of an image, or None."""
        return self._known.of(path)[1] if self._tables else None

    def paths(self) -> Iterator[AnyPath]:
        """An iterator over all images. Raises UserError at once if there are none."""
        where = printable(", ".join(self.names))
        named = chain.from_iterable(map(self._expand, self.names, self._lists))
        every = not_empty(
            self._each_once(named), f"{self.option}: no images in {where}: expected {KINDS}"
        )
        if self.interval is None:
            return every
        return not_empty(
            islice(every, *self.interval),
            f"--slice: there are fewer than {self.interval[0] + 1} images",
        )

    def _each_once(self, paths: Iterator[AnyPath]) -> Iterator[AnyPath]:
        """The paths but for those of a file that came before."""
        if len(self.names) == 1 and self._lists[0] is None:
            yield from paths  # of one folder each comes once
            return
        seen = Seen()
        for path in paths:
            if seen.add(file_number(path)):
                yield path
            else:
                self.passed_over.again += 1

    def _expand(self, name: str, listed: Listing | Stdin | None) -> Iterator[AnyPath]:
        if listed is not None:
            return (entry.path for entry in listed.read(self.passed_over))
        path = to_path(name)
        return find_images(path, self.passed_over) if is_folder(path) else iter([path])


def _check_against_folders(
    table: Listing, roots: Sequence[FilePath], labels: Sequence[str]
) -> None:
    """Raise UserError if the table and the folder in which an image lies say two labels of it."""
    real = [to_path(real_name(root)) for root in roots]
    for entry in table:
        path = to_path(real_name(entry.path))
        for label in {sub_folder_of(path, root) for root in real} & set(labels):
            if differ(label, entry.label):
                raise UserError(
                    f"{printable(table.path)}: {printable(entry.path)} is listed under "
                    f"{quote(entry.label)}, and lies under {quote(label)}"
                )
