"""tiff_channels: the samples or channels of a TIFF that are its colours and its transparency."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from malaria.base.streams import log
from malaria.base.text import printable, shorten
from malaria.pictures.limits import UnreadableImageError
from malaria.pictures.remote_path import AnyPath

RGB = 2  # the photometric interpretation
# Extra samples: transparency by which the colours are multiplied already, and other transparency.
PREMULTIPLIED, TRANSPARENCY = 1, 2
COLOURS = ("red", "green", "blue")
NAMES = {name: colour for colour in COLOURS for name in (colour, colour[0])}
# Names that say nothing: "", "0", "ch1", "Channel:0:2"; not "C", cyan, nor "488", a wavelength.
UNTOLD = re.compile(
    r"((channel|chan|ch|c|slice|image)?[\s:_#-]*\d{1,2}([:/]\d{1,2})*)?", re.IGNORECASE
)
# The kinds of tifffile whose channels may be colours; other microscopes' are of fluorescence.
KINDS = ("shaped", "generic", "uniform", "imagej", "ome")

_log_once = cache(log)


@dataclass(frozen=True)
class Samples:
    """The places of the colours, one or three, among the samples of a pixel, and of its alpha.

    is_premultiplied: the colours are multiplied by the alpha already.
    """

    colours: tuple[int, ...] = (0,)
    alpha: int | None = None
    is_premultiplied: bool = False

    @property
    def places(self) -> tuple[int, ...]:
        """Of the colours, then of the alpha."""
        return self.colours if self.alpha is None else (*self.colours, self.alpha)


def find_samples(path: AnyPath, file: Any, count: int) -> Samples:
    """What the `count` samples or channels of a pixel are. Raises UnreadableImageError.

    file: an opened TiffFile.
    """
    page = file.pages[0]
    if count == 1:
        return Samples()
    # Channels have pages of their own; of samples in grey more than an alpha are no less unknown.
    if count != page.samplesperpixel or (page.photometric != RGB and count > 2):
        return Samples(_find_colours(path, file, count))
    colours = 3 if page.photometric == RGB else 1
    if count < colours:
        raise UnreadableImageError(f"{count} samples a pixel: expected red, green and blue")
    # Only what the file calls transparency is: others have infrared, fluorescence or nothing there.
    for place, kind in enumerate(page.extrasamples, colours):
        if kind in (PREMULTIPLIED, TRANSPARENCY):
            return Samples(tuple(range(colours)), place, kind == PREMULTIPLIED)
    return Samples(tuple(range(colours)))


def _find_colours(path: AnyPath, file: Any, count: int) -> tuple[int, ...]:
    """The places of red, green and blue."""
    told = list(_tell_channels(file, count))
    if count == 3 and set(told) == set(COLOURS):
        return tuple(map(told.index, COLOURS))
    if count != 3 or any(told) or file.series[0].kind not in KINDS:
        named = ", ".join(one or "unnamed" for one in told) if any(told) else "of unknown colours"
        raise UnreadableImageError(
            f"{count} channels ({shorten(named, 100)}): expected one image, grey or in red, green "
            "and blue"
        )
    _log_once(
        f"{printable(path.parent)}: its TIFFs of three "
        f"{'pages' if 'Q' in file.series[0].axes else 'channels'} are read as red, green and blue"
    )
    return 0, 1, 2


def _tell_channels(file: Any, count: int) -> Iterator[str]:
    """What ImageJ or OME says of each channel: a colour, another name, or nothing."""
    names: Sequence[str] = ()
    colours: Sequence[Any] = ()
    if file.is_imagej:
        known = file.imagej_metadata
        names, colours = known.get("Labels") or (), [lut[:, -1] for lut in known.get("LUTs") or ()]
    elif file.ome_metadata:
        tags = re.findall(r"<(?:\w+:)?Channel\b[^>]*>", file.ome_metadata)
        names = [_find(r'\b(?:Name|Fluor|EmissionWavelength)="([^"]*)"', tag) for tag in tags]
        colours = [_split(int(_find(r'\bColor="(-?\d+)"', tag) or -1)) for tag in tags]
    for place in range(count):
        name = names[place].strip() if place < len(names) else ""
        colour = _name_colour(*colours[place]) if place < len(colours) else ""
        yield colour if UNTOLD.fullmatch(name) else NAMES.get(name.lower(), name)


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


def _split(colour: int) -> tuple[int, int, int]:
    """Red, green and blue of a colour in OME: 32 bits, the last 8 of them its transparency."""
    return colour >> 24 & 255, colour >> 16 & 255, colour >> 8 & 255


def _name_colour(red: int, green: int, blue: int) -> str:
    """One of COLOURS; "" for grey, in which channels are shown that have no colour."""
    levels = int(red), int(green), int(blue)
    if len(set(levels)) == 1:
        return ""
    strong = [name for name, level in zip(COLOURS, levels, strict=True) if level]
    return strong[0] if len(strong) == 1 else "#{:02x}{:02x}{:02x}".format(*levels)
