"""cell_kinds: KINDS, the one table of what annotators call red cells and all else in a field."""

import re
from collections.abc import Mapping
from typing import Literal

# Of a red cell: with parasites, without, or nobody says. Then what is no red cell. difficult: a
# person could not tell, and it is left out of every score.
Kind = Literal[
    "parasitized", "uninfected", "unknown", "leukocyte", "platelet", "other", "difficult"
]
RED: tuple[Kind, ...] = ("parasitized", "uninfected", "unknown")
NOT_RED: tuple[Kind, ...] = ("leukocyte", "platelet", "other")
# What people call, in labels.csv, what a detector took for a red cell.
NO_CELL = "no red cell"

# Case, blanks, hyphens, underscores and other signs do not count, nor an s at the end.
KINDS: dict[Kind, tuple[str, ...]] = {
    "parasitized": (
        *("parasitized", "parasitised", "parasitized cell", "infected", "infected cell"),
        *("infected red blood cell", "infected rbc", "irbc", "parasite", "malaria", "positive"),
        *("ring", "ring stage", "ring form", "trophozoite", "troph", "early trophozoite"),
        *("late trophozoite", "mature trophozoite", "schizont", "gametocyte"),
    ),
    "uninfected": (
        *("uninfected", "uninfected cell", "uninfected red blood cell", "uninfected rbc", "urbc"),
        *("red blood cell", "red cell", "rbc", "erythrocyte", "healthy", "healthy cell", "normal"),
        *("normal cell", "non infected", "non parasitized", "unparasitized", "negative"),
    ),
    # The last four are of the table that --fields writes.
    "unknown": ("cell", "review", "unlike", "at the border", "clump"),
    "leukocyte": (
        *("leukocyte", "leucocyte", "white blood cell", "white cell", "wbc", "lymphocyte"),
        *("neutrophil", "monocyte", "eosinophil", "basophil"),
    ),
    "platelet": ("platelet", "thrombocyte"),
    "other": (*("artifact", "artefact", "debris", "stain", "dirt", "background", "other"), NO_CELL),
    "difficult": ("difficult", "doubtful", "unsure", "uncertain", "unclear", "ignore", "ignored"),
}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold().removesuffix("s")


_KNOWN = {_plain(name): kind for kind, names in KINDS.items() for name in names}


def kind_of(label: str | None, own: Mapping[str, Kind]) -> Kind | None:
    """The kind of a label, None for one that nobody knows; own: of the model's labels."""
    if label is None or not label.strip():
        return "unknown"
    return _KNOWN.get(_plain(label)) or own.get(label)


def own_kinds(labels: tuple[str, ...], positive: str) -> dict[str, Kind]:
    """The kinds of a model's labels, where KINDS does not know them."""
    return {name: "parasitized" if name == positive else "uninfected" for name in labels}
