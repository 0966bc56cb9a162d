"""found: what lies in a field, as a detector or people tell it."""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from malaria.pictures.box import Box
from malaria.pictures.remote_path import AnyPath


class Found(NamedTuple):
    """label: None for a red cell to be classified, else one of prediction.APART.

    probability: of the detector; None where people told it.
    """

    box: Box
    label: str | None = None
    probability: float | None = None


# All that lies in a field, RGB or grey. It may raise UserError, with the reason why it cannot be.
Find = Callable[[AnyPath, Image.Image], list[Found]]


def cut(field: Image.Image, box: Box) -> Image.Image:
    """The image of one cell."""
    return field.crop((box.left, box.top, box.left + box.width, box.top + box.height))
