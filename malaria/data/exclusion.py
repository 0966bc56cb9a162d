"""exclusion: images that a list of files leaves out of training."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import plain_cell
from malaria.base.text import shorten
from malaria.data.dataset import Sample
from malaria.data.listing import read_text_file


@dataclass(frozen=True)
class Exclusion:
    """The images never trained on; the file that names them, and how many it names."""

    paths: frozenset[Path] = frozenset()
    listing: str | None = None
    listed: int = 0


def read_exclusion(listing: str | None, samples: Sequence[Sample], folder: Path | str) -> Exclusion:
    """The samples that a .csv with a column `path` names, relative to `folder` or to where we are.

    Raises UserError if it cannot be read or names none of the samples.
    """
    if listing is None:
        return Exclusion()
    listed = _read_paths(Path(listing))
    # Each text as relative to the folder, and to where we are; an absolute one is the same in both.
    named = {os.path.abspath(Path(below, text)) for text in listed for below in (folder, "")}
    paths = frozenset(one.path for one in samples if os.path.abspath(one.path) in named)
    if listed and not paths:
        raise UserError(
            f"exclude: none of the {len(listed)} files in {listing} is among the images; expected "
            f"paths like {os.path.relpath(samples[0].path, folder)}; "
            f"received {shorten(listed[0], 200)}"
        )
    return Exclusion(paths, listing, len(listed))


def _read_paths(listing: Path) -> list[str]:
    try:
        rows = csv.DictReader(io.StringIO(read_text_file(listing), newline=""))
        if "path" not in (rows.fieldnames or ()):
            raise UserError(f"expected a column 'path' in the first line of {listing}")
        return [plain_cell(row["path"]) for row in rows if row["path"]]
    except UserError as error:
        raise UserError(f"exclude: {error}") from None
    except csv.Error as error:
        raise UserError(f"exclude: cannot read {listing}: {error}") from None
