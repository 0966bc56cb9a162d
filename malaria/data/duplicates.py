"""duplicates: the same image twice, by its pixels, in whichever files they are kept."""

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.data.dataset import Sample
from malaria.pictures.images import UnreadableImageError, open_image
from malaria.pictures.remote_path import AnyPath

# This many contradictions are named; the rest are counted.
NAMED = 10


def digest_pixels(image: Image.Image) -> str:
    """32 hexadecimal digits, the same for RGB images of the same pixels, in whichever files."""
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(np.asarray(image).tobytes())
    return digest.hexdigest()[:32]


def content_of(path: AnyPath) -> str | None:
    """The content of a Sample of this file; None if it cannot be read."""
    try:
        return digest_pixels(open_image(path))
    except UnreadableImageError:
        return None


def find_contradictions(samples: Sequence[Sample]) -> list[Sample]:
    """The samples whose content is there under another label too, copies side by side."""
    copies: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.content is not None:
            copies.setdefault(sample.content, []).append(sample)
    contradicted = [some for some in copies.values() if len({one.label for one in some}) > 1]
    return [one for some in contradicted for one in some]


def refuse_contradictions(found: Sequence[Sample], label_names: Sequence[str]) -> None:
    """Raise UserError, which names some, if any images were found under two labels."""
    if not found:
        return
    named = [f"{label_names[sample.label]}: {sample.path}" for sample in found[:NAMED]]
    lines = map(printable, named + ["..."] * (len(found) > NAMED))
    raise UserError(
        f"{len(found)} files hold images that lie under two labels: remove the wrong ones, or "
        "set contradictions: exclude" + "".join(f"\n  {line}" for line in lines)
    )


def count_copies(samples: Sequence[Sample]) -> int:
    """The number of images that are copies of an earlier one."""
    contents = [sample.content for sample in samples if sample.content is not None]
    return len(contents) - len(set(contents))
