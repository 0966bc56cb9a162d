"""exclusion: images that a list of files leaves out of training."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.text import printable, shorten
from malaria.data.dataset import Sample
from malaria.data.spellings import spellings
from malaria.data.tables import open_table
from malaria.pictures.cell_in_field import ImagePath


@dataclass(frozen=True)
class Exclusion:
    """The images never trained on; the file that names them, and how many it names."""

    paths: frozenset[ImagePath] = frozenset()
    listing: str | None = None
    listed: int = 0


def read_exclusion(listing: str | None, samples: Sequence[Sample], folder: Path | str) -> Exclusion:
    """The samples that a table with a column `path` names.

    Its paths are relative to `folder`, to where we are or to the table. Raises UserError if it
    cannot be read or names none of the samples.
    """
    if listing is None:
        return Exclusion()
    known = {os.path.abspath(str(one.path)): one.path for one in samples}
    found, first, count = set[ImagePath](), "", 0
    for text in _read_paths(Path(listing)):
        # An absolute one is the same below each.
        places = (
            os.path.abspath(Path(below, spelled))
            for spelled in spellings(text)
            for below in (folder, "", Path(listing).parent)
        )
        found |= {known[place] for place in places if place in known}
        first, count = first or text, count + 1
    if count and not found:
        raise UserError(
            f"exclude: none of the {count} files in {printable(listing)} is among the images; "
            f"expected paths like {printable(os.path.relpath(str(samples[0].path), folder))}; "
            f"received {shorten(first, 200)}"
        )
    return Exclusion(frozenset(found), listing, count)


def _read_paths(listing: Path) -> Iterator[str]:
    try:
        with open_table(listing) as (_, rows):
            yield from (row.path for row in rows if row.path)
    except UserError as error:
        raise UserError(f"exclude: {error}") from None
