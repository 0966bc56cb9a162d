"""page: predictions -> one HTML file for people; it needs no network and no other file."""

import base64
import hashlib
import io
import math
import os
import platform
import re
import sys
from collections import Counter
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from malaria.base.errors import printable
from malaria.base.files import write_text
from malaria.base.proportions import wilson
from malaria.data.images import UnreadableImageError, open_image

# At this size and quality a cell takes about 1.5 KB of the file, 5,000 cells 9 MB.
THUMBNAIL_SIDE = 64
JPEG_QUALITY = 75
BINS = 20
UNKNOWN_GROUP = "not known"
# Named with their versions where they were loaded: so the file tells which engine answered.
LIBRARIES = {
    "ai_edge_litert": "LiteRT",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "numpy": "NumPy",
    "PIL": "Pillow",
}


class Page:
    """Collects predictions as they pass and writes the report; holds only thumbnails and rows."""

    def __init__(self, path, *, labels, positive_label, threshold, model_name):
        """labels: of the model, in its order. threshold: of two labels, for the positive one."""
        self.path = Path(path)
        self.positive = list(labels).index(positive_label)
        self.labels = [printable(label) for label in labels]
        self.threshold = threshold if len(self.labels) == 2 else None
        self.model_name = printable(model_name)
        self.rows = []

    def add(self, prediction, *, group=None, truth=None, overlay=None):
        """Keep one prediction. group: the patient or folder. truth: the true label's name.

        overlay: the bytes of a PNG or JPEG of where the network looked. A label that is none of
        the model's means that the picture is left to a person.
        """
        row = {
            "name": printable(prediction.path),
            "link": None,
            "label": _text(prediction.label),
            "probabilities": [_finite(value) for value in prediction.probabilities or ()],
            "group": _text(group),
            "truth": _text(truth),
            "error": _text(prediction.error),
            "image": None,
            "overlay": data_uri(overlay) if overlay else None,
        }
        row["positive"] = row["probabilities"][self.positive] if row["probabilities"] else None
        row["wrong"] = row["truth"] not in (None, row["label"]) and row["label"] in self.labels
        if prediction.error is None:
            row |= self._picture(prediction.path)
        self.rows.append(row)

    def _picture(self, path):
        """The thumbnail and a link to the file, or why there is none: it may be gone by now."""
        try:
            image = thumbnail(path)
        except UnreadableImageError as error:
            return {"error": _text(error)}
        return {"image": image, "link": relative_link(path, self.path.parent)}

    def write(self, *, evaluation=None, title=None, note=None):
        """Write the file, whole or not at all. Raises UserError if it cannot be written.

        title: in place of "Report on n pictures". note: a paragraph in place of all summaries,
        where the pictures are a choice and shares of them would mislead.
        evaluation: None, or {"metrics": [{"name", "value", "low", "high"}], "confusion": rows of
        true labels, "roc": {"false", "true"}, "reliability": [{"predicted", "observed", "count"}],
        "report": text}.
        """
        count = len(self.rows)
        title = title or f"Report on {count:,} picture{'' if count == 1 else 's'}"
        known = {"evaluation": evaluation, "title": printable(title), "note": note}
        write_text(self.path, make_template().render(self._content(), **known))

    def _content(self):
        found = {row["label"] for row in self.rows} - {None}
        groups = group_rows(self.rows)
        return {
            "labels": self.labels,
            "positive_label": self.labels[self.positive],
            "other_labels": sorted(found - set(self.labels)),
            "threshold": self.threshold,
            "model_name": self.model_name,
            "time": datetime.now(timezone.utc),
            "rows": self.rows,
            "tally": self._tally(self.rows),
            "unknown_group": UNKNOWN_GROUP,
            "groups": [(name, self._tally(rows)) for name, rows in groups],
            "evaluated": any(row["truth"] is not None for row in self.rows),
            "bins": histogram([row["positive"] for row in self.rows]),
            "versions": {"Python": platform.python_version()} | loaded_versions(),
        }

    def _tally(self, rows):
        """The counts of some rows. share: of the positive label, among pictures with a label."""
        counts = Counter(row["label"] for row in rows)
        decided = sum(counts[label] for label in self.labels)
        positive = counts[self.labels[self.positive]]
        low, high = wilson(positive, decided)
        return {
            "pictures": len(rows),
            "counts": counts,
            "unreadable": counts[None],
            "wrong": sum(row["wrong"] for row in rows),
            "judged": sum(row["truth"] is not None and row["label"] in self.labels for row in rows),
            "decided": decided,
            "positive": positive,
            "share": positive / decided if decided else None,
            "low": low,
            "high": high,
        }


def group_rows(rows):
    """[(group, its rows), ...] sorted by name, C2 before C10; [] if no row has a group."""
    if all(row["group"] is None for row in rows):
        return []
    groups = {}
    for row in rows:
        groups.setdefault(row["group"] or UNKNOWN_GROUP, []).append(row)
    return sorted(groups.items(), key=lambda item: re.sub(r"\d+", _padded, item[0]))


def thumbnail(path):
    """The picture as a JPEG in a data URI, RGB, no side above THUMBNAIL_SIDE, never enlarged.

    Raises UnreadableImageError with the reason.
    """
    image = open_image(path)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return data_uri(content.getvalue())


def data_uri(content):
    """A PNG's or JPEG's bytes as an address that holds them itself."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def relative_link(path, folder):
    """The address of the file `path` in a page that lies in `folder`; bytes of any sort allowed."""
    relative = os.path.relpath(path, folder)
    return "./" + quote(os.fsencode(Path(relative).as_posix()))


def histogram(probabilities):
    """How many lie in each of BINS equal parts of 0..1, lower end included; None is left out."""
    counts = Counter(min(int(p * BINS), BINS - 1) for p in probabilities if p is not None)
    return [counts[place] for place in range(BINS)]


def polyline(horizontal, vertical, side):
    """Points of 0..1 as `x,y x,y ...` in a square of `side`, y upwards.

    Equal neighbours come once; a point that is no number, as of a label without cells, never.
    """
    points = [
        f"{x * side:.1f},{(1 - y) * side:.1f}"
        for x, y in zip(horizontal, vertical, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    return " ".join(point for point, _ in groupby(points))


def csp_hash(text):
    """`text`, the content of a style or script element, as a Content-Security-Policy names it."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def loaded_versions():
    """{library: version} of those LIBRARIES that this process has loaded."""
    return {
        name: getattr(sys.modules[module], "__version__", "of unknown version")
        for module, name in LIBRARIES.items()
        if module in sys.modules
    }


def make_template():
    """page.html, which escapes whatever is put into it."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"csp_hash": csp_hash, "printable": printable}
    environment.globals |= {"polyline": polyline, "zip": zip}
    return environment.get_template("page.html")


def _padded(digits):
    return digits.group().zfill(20)


def _text(value):
    return None if value is None else printable(value)


def _finite(value):
    """A probability short enough for a file; None for NaN, which JSON does not have."""
    return round(float(value), 6) if math.isfinite(value) else None
