"""recognise: what a file is that stands where a model is expected, by its first bytes and its name.

The commonest is no model of any program: a pointer of Git LFS, a web page, an address. Nothing but
the first bytes is read, and nothing of it is run.
"""

import codecs
import os
import re
from pathlib import Path
from typing import Literal

from malaria.base.errors import UserError
from malaria.base.files import open_regular
from malaria.base.text import quote

# pair: .h5 and .json; the others are one file or folder of another program.
Kind = Literal["pair", "h5", "keras", "saved_model", "tflite"]
ENDINGS: dict[str, Kind] = {".h5": "h5", ".hdf5": "h5", ".keras": "keras", ".tflite": "tflite"}
# How each begins, whatever its name: Keras 2 wrote HDF5 under the name .keras too.
STARTS: dict[Kind, bytes] = {
    "h5": rb"\x89HDF\r\n\x1a\n",
    "tflite": rb".{4}TFL3",
    "keras": rb"PK\x03\x04.{26}(metadata\.json|config\.json|model\.weights\.h5)",
}
# The largest of Keras's own with the moments of its optimizer; more is a mistake or a trap.
MAX_BYTES = 2**32
HEAD_BYTES = 1024
SAVE = 'save the network with model.save("model.keras")'
PICKLE = f"a pickle, which could run code, and is never opened: {SAVE}"
TORCH = (
    "a PyTorch model, which is not read: export the network to .tflite, with litert-torch for "
    "example"
)
ARCHIVE = "an archive: unpack it, and name the model in it"
POINTER = rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\s.*?size (\d{1,20})(?!\d)"
# By how they begin; the first that fits.
CONTENTS = {
    rb"\s*\Z": "empty: copy or download it again",
    rb"\W{0,3}\s*<(!doctype|html|head|\?xml|!--)": "a web page, as a failed download leaves it: "
    "download the model again",
    rb"\s*(\w{2,5}://|\[InternetShortcut\])": "the address of a file, not the file itself: "
    "download it from there",
    rb"[./]*\.git/annex/|/annex/objects/": "a git-annex pointer, not the file itself: run git "
    "annex get",
    rb"PK\x03\x04.{26}[^\0]{1,200}?data\.pkl": TORCH,
    rb"\x80[\x02-\x05]": PICKLE,
    rb"\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ": ARCHIVE,
}
# By what JSON says in its first bytes.
JSON_CONTENTS = {
    rb'.*"(modelTopology|weightsManifest)"': "a TensorFlow.js model, which is not read: convert it "
    "with tensorflowjs_converter --input_format=tfjs_layers_model model.json model.h5",
}
NAMES = {
    r"shard\d+of\d+\.bin": "weights of a TensorFlow.js model, which is not read: convert its "
    "model.json with tensorflowjs_converter",
    r"\.(pt|pth|pt2|ptl|pth\.tar|bin)": TORCH,
    r"\.onnx": "an ONNX model, which is not read: convert it to .tflite, with onnx2tf for example",
    r"\.(pkl|pickle|joblib|sav|dill)": PICKLE,
    r"\.safetensors": "weights without a network: build the network in Keras, or export it to "
    ".tflite with litert-torch",
    r"\.(mlmodel|mlpackage|mlmodelc)": f"a Core ML model, which is not read: {SAVE}",
    r"\.(pb|pbtxt)": f"a TensorFlow graph, which could run code, and is not read: {SAVE}",
    r"(\.(ckpt|index|meta|data-\d+-of-\d+)|^checkpoint)": "a checkpoint, which holds weights and "
    f"no network: build the network, load the checkpoint, and {SAVE}",
    r"\.(np[yz]|mat)": f"numbers without a network: {SAVE}",
    r"\.(zip|tar|gz|tgz|bz2|xz|7z|rar)": ARCHIVE,
    r"\.(engine|trt|xml|pdparams|pdmodel|params|caffemodel|t7|weights|gguf|mnn|rknn)": "a model "
    "of another program, which is not read: convert it to .tflite",
}


def recognise(path: Path) -> Kind | None:
    """The kind of the model that is one file; None for a file that is none known here.

    Raises UserError for what is known not to be one, with what it is and what to do.
    """
    head = check_content(path)
    for kind, start in STARTS.items():
        if re.match(start, head, re.DOTALL):
            return kind
    kind_by_name = ENDINGS.get(path.suffix.lower())
    if kind_by_name is None and (told := other_by_name(path)):
        raise UserError(f"{path}: {told}")
    if head.startswith(b"PK\3\4") and kind_by_name in ("h5", "tflite"):
        raise UserError(f"{path}: {ARCHIVE}")
    if re.match(rb"\s*[{\[]", head) and kind_by_name:
        raise UserError(
            f"{path}: JSON, and no {path.suffix}: if it is an architecture, name it .json and put "
            "its weights beside it, a .h5 of the same name"
        )
    if kind_by_name and (text := _as_text(head)):
        raise UserError(f"{path}: text, and no {path.suffix}: {quote(text)}: download it again")
    return kind_by_name


def _as_text(head: bytes) -> str | None:
    """What a failed download left, "404: Not Found" for example; None where it is no text."""
    text = " ".join(head.decode("latin-1").split())
    return text if text.isascii() and text.isprintable() else None


def check_content(path: Path) -> bytes:
    """The first bytes of a file. Raises UserError for what is no file, or no model by them."""
    try:
        with open_regular(path, MAX_BYTES) as file:
            head = _plain(file.read(HEAD_BYTES))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UserError as error:
        raise UserError(f"cannot read {path}: {error}") from None
    if pointer := re.match(POINTER, head, re.DOTALL):
        raise UserError(
            f"{path}: a Git LFS pointer to {int(pointer[1]):,} bytes, not the file itself: run git "
            "lfs pull"
        )
    known = JSON_CONTENTS if path.suffix.lower() == ".json" else CONTENTS | JSON_CONTENTS
    for start, told in known.items():
        if re.match(start, head, re.DOTALL | re.IGNORECASE):
            raise UserError(f"{path}: {told}")
    return head


def _plain(head: bytes) -> bytes:
    """The same; of text without its byte order mark, and that of Windows' PowerShell as ASCII."""
    if head.startswith(codecs.BOM_UTF16_LE):
        head = head.decode("utf-16", "ignore").encode()
    return head.removeprefix(codecs.BOM_UTF8)


def other_by_name(path: Path) -> str | None:
    """What a file or folder of this name is in another program, and what to do; or None."""
    for ending, told in NAMES.items():
        if re.search(f"{ending}$", path.name.lower()):
            return told
    return None


def explain_missing(path: Path) -> str | None:
    """Why there is nothing at `path`, where what lies there tells it; or None."""
    if path.is_symlink():
        target = os.readlink(path)
        remedy = ": run git annex get" if "annex/objects" in target else ""
        return f"{path}: a link to {target}, where nothing is{remedy}"
    if path.with_name(f"{path.name}.dvc").is_file():
        return f"{path} is not here, but {path.name}.dvc is: run dvc pull"
    return None
