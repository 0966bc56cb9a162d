"""annotations: the boxes that people, or other programs, gave to the cells of fields."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from unicodedata import normalize

from PIL import Image

from malaria.annotations.annotation_records import (
    MOST,
    Annotated,
    Content,
    Record,
    Rectangle,
    clip,
)
from malaria.annotations.cell_kinds import NOT_RED, RED, Kind, kind_of
from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.pictures.box import Box
from malaria.pictures.remote_path import AnyPath, real_name


class Annotations:
    """The annotated boxes of each field.

    An image is known by its place or, where no other has it, by its name alone.
    """

    def __init__(
        self, path: AnyPath, records: Iterable[Record], *, own: Mapping[str, Kind] | None = None
    ) -> None:
        """own: the kinds of further labels.

        Raises UserError for an image that is there twice, and for a label that is not known.
        """
        self.path, self._own = path, own or {}
        self._told = printable(path)
        self._places: dict[str, Record] = {}
        self._named: dict[str, list[Record]] = defaultdict(list)
        self._taken: dict[str, Record] = {}
        self._counts, self._lock = Counter[str](), Lock()
        for record in records:
            self._named[_bare(record.name, by_stem=not record.by_stem)].append(record)
            if (place := real_name(record.place)) in self._places:
                raise UserError(f"{self._told}: {quote(record.name)} is there twice")
            self._places[place] = record
            if isinstance(record.content, Content):
                for label in {one.label for one in record.content.rectangles}:
                    self._kind_of(label)

    def assign(self, paths: Iterable[AnyPath]) -> None:
        """Find the record of each image. Raises UserError where nothing tells which is which."""
        owners: dict[int, list[AnyPath]] = defaultdict(list)
        left = []
        for path in paths:
            if (record := self._at(real_name(path))) is None:
                left.append(path)
            else:
                self._take(path, [record], owners)
        taken = set(owners)
        for path in left:
            name = path.name
            same = self._named.get(_bare(name, by_stem=True), ())
            fits = [one for one in same if _bare(one.name) == _bare(name, by_stem=one.by_stem)]
            self._take(path, [one for one in fits if id(one) not in taken], owners)

    def _at(self, place: str) -> Record | None:
        found = self._places.get(place)
        if found is None:
            found = self._places.get(_stem(place))
            return found if found and found.by_stem else None
        return None if found.by_stem else found

    def _take(
        self, path: AnyPath, records: Sequence[Record], owners: dict[int, list[AnyPath]]
    ) -> None:
        for record in records:
            owners[id(record)].append(path)
            if len(records) > 1 or len(owners[id(record)]) > 1:
                fields = " and ".join(printable(one) for one in owners[id(record)])
                told = " or ".join(quote(one.name) for one in records[:2])
                raise UserError(
                    f"{self._told}: nothing tells which field {told} is, {fields}: expected names "
                    "that differ, or paths that start from this file"
                )
            if record.file is not None and real_name(record.file) == real_name(path):
                raise UserError(f"{self._told}: {quote(record.name)} is a field, and no mask of it")
            self._taken[real_name(path)] = record

    def find(self, path: AnyPath, field: Image.Image) -> list[Box]:
        """The boxes of the red cells in a field, whatever their labels; others are counted.

        Raises UserError with the reason where it has none.
        """
        boxes, _ = self.read(path, field.size)
        cells = [one.box for one in boxes if one.kind in RED]
        if not cells:
            raise UserError(f"no red cells are annotated in {self._told}")
        return cells

    def knows(self, path: AnyPath) -> bool:
        """Whether there are annotations of this image, after `assign`."""
        return real_name(path) in self._taken

    @property
    def places(self) -> list[AnyPath]:
        """Where the annotated images lie, as far as their endings are told."""
        return [one.place for one in self._places.values() if not one.by_stem]

    def read(self, path: AnyPath, size: tuple[int, int]) -> tuple[list[Annotated], bool]:
        """(all boxes of an image of this (width, height), as far as they lie in it, is_complete).

        is_complete: whether every cell of it is said to have a box. Raises UserError where there
        are no annotations, or of an image of another size.
        """
        if not self.knows(path):
            raise UserError(f"not in {self._told}")
        content = self._taken[real_name(path)].read()
        if content.size not in (None, size):
            told, own = ("{} x {}".format(*sides) for sides in (content.size, size) if sides)
            raise UserError(f"{self._told} tells of {told} pixels, and this image has {own}")
        if len(content.rectangles) > MOST:
            raise UserError(f"{self._told}: more than {MOST:,} boxes in one image")
        scale = size if content.are_shares else (1, 1)
        found = [self._place(one, scale, size) for one in content.rectangles]
        return [one for one in found if one is not None], content.is_complete

    def _place(
        self, one: Rectangle, scale: tuple[int, int], size: tuple[int, int]
    ) -> Annotated | None:
        """The rectangle in its image; None, and counted, where it has no part of it."""
        kind = self._kind_of(one.label)
        box, is_cut = clip(one, scale, size)
        with self._lock:
            self._counts["outside"] += box is None
            self._counts["cut"] += is_cut
            self._counts[kind] += box is not None
        return None if box is None else Annotated(box, one.label, kind)

    def _kind_of(self, label: str | None) -> Kind:
        kind = kind_of(label, self._own)
        if kind is None:
            raise UserError(
                f"{self._told}: the label {quote(label)} is not known: expected one of red cells "
                "(as uninfected, rbc, parasitized, ring), of other things (as leukocyte, platelet) "
                "or difficult"
            )
        return kind

    @property
    def notes(self) -> list[str]:
        """Lines about what was read and is not among the red cells, once all fields were read."""
        return [f"{self._told}: {line}" for line in self._describe()]

    def _describe(self) -> Iterator[str]:
        counts, unused = self._counts, len(self._places) - len(self._taken)
        if unused:
            every = f"{len(self._places):,} annotated images"
            yield f"{unused:,} of its {every} are not among the fields"
        if counts["outside"]:
            yield f"{counts['outside']:,} boxes left out: outside of their image, or of no size"
        if counts["cut"]:
            yield f"{counts['cut']:,} boxes that reach beyond their image were cut at its border"
        others = sum(counts[kind] for kind in NOT_RED)
        if others or counts["difficult"]:
            yield (
                f"no red cells, and left out: {others:,} boxes of other things and "
                f"{counts['difficult']:,} difficult ones"
            )


def _bare(name: str, *, by_stem: bool = False) -> str:
    """The last part of a path, in whatever way it was written; by_stem: without its ending."""
    bare = normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    return _stem(bare) if by_stem else bare


def _stem(name: str) -> str:
    """The name or path without its last ending."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.rpartition('.')[0] or last}"
