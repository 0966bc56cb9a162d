"""tell_fields: whether images are whole fields, by what a detector finds in the first of them."""

from collections.abc import Sequence

from malaria.base.errors import UserError
from malaria.fields.field_detector import load_detector
from malaria.fields.predict_fields import FEW
from malaria.pictures.images import open_image
from malaria.pictures.remote_path import AnyPath

# So many images tell it.
FIRST = 5


def look_like_fields(paths: Sequence[AnyPath]) -> bool:
    """True if most of the images show more red cells than an image of a single one may."""
    find, told = load_detector(), []
    for path in paths:
        try:
            found = find(path, open_image(path))
        except UserError:
            continue
        told.append(sum(one.label is None for one in found) > FEW)
    return sum(told) > len(told) / 2
