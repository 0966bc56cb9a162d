"""html_parts: an HTML report from its template, and the small pieces that are put into it."""

import base64
import hashlib
import io
import math
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from malaria.base.files import write_pieces
from malaria.base.text import printable
from malaria.pictures.images import Source, open_image
from malaria.pictures.remote_path import AnyPath, RemotePath

FOLDER = Path(__file__).parent
# At this size and quality a cell takes about 1.5 KB of the file, 5,000 cells 9 MB.
THUMBNAIL_SIDE = 64
THUMBNAIL_QUALITY = 75
# A fifth of the size of a PNG.
QUALITY = 80
BINS = 20
# Listed with their versions if they were loaded: so the page says which engine was used.
LIBRARIES = {
    "ai_edge_litert": "LiteRT",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "numpy": "NumPy",
    "PIL": "Pillow",
}


def thumbnail(source: Source) -> str:
    """The image, small, as a JPEG in a data URI, RGB. Raises UnreadableImageError."""
    image = open_image(source)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return data_uri(as_jpeg(image, THUMBNAIL_QUALITY))


def as_jpeg(source: Source, quality: int = QUALITY) -> bytes:
    """The image as the bytes of a JPEG. Raises UnreadableImageError."""
    content = io.BytesIO()
    open_image(source).save(content, "JPEG", quality=quality, optimize=True)
    return content.getvalue()


def data_uri(content: bytes) -> str:
    """A JPEG's bytes as an address that holds them itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}"


def link_to(path: AnyPath, folder: Path) -> str | None:
    """The address of an image in a page that lies in `folder`; None where a browser has none."""
    if isinstance(path, RemotePath):
        return path.url if path.is_web else None
    relative = Path(os.path.relpath(path, folder))
    # As bytes, for a name may be no UTF-8.
    return "./" + quote(os.fsencode(relative.as_posix()))


def histogram(probabilities: Iterable[float | None]) -> list[int]:
    """Counts in BINS equal bins of 0..1, lower edge included; None is left out."""
    counts = Counter(min(int(p * BINS), BINS - 1) for p in probabilities if p is not None)
    return [counts[place] for place in range(BINS)]


def polyline(horizontal: Iterable[float], vertical: Iterable[float], side: float) -> str:
    """Points of 0..1 as `x,y x,y ...` in a square of `side`, y upwards.

    Equal neighbours come once; a point that is no number, as of a label without cells, never.
    """
    points = [
        f"{x * side:.1f},{(1 - y) * side:.1f}"
        for x, y in zip(horizontal, vertical, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    return " ".join(point for point, _ in groupby(points))


def csp_hash(text: str) -> str:
    """`text`, the content of a style or script element, as a Content-Security-Policy names it."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def write_page(path: Path, template: str, content: dict[str, Any]) -> None:
    """Write a page with its style and script inside, whole or not at all; all content is escaped.

    The script is the template's namesake that ends in .js, if there is one. What `content` has as
    an iterator is taken while the page is written. Raises UserError if it cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"csp_hash": csp_hash, "printable": printable}
    versions = {
        name: getattr(sys.modules[module], "__version__", "of unknown version")
        for module, name in LIBRARIES.items()
        if module in sys.modules
    }
    script = (FOLDER / template).with_suffix(".js")
    environment.globals |= {
        "polyline": polyline,
        "zip": zip,
        "style": (FOLDER / "html_report.css").read_text(encoding="utf-8"),
        "script": script.read_text(encoding="utf-8"),
        "time": datetime.now(timezone.utc),
        "versions": {"Python": platform.python_version()} | versions,
    }
    write_pieces(path, environment.get_template(template).generate(content))
