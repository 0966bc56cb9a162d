"""application_weights: weights of keras.applications, fetched by Keras or from a file of theirs."""

import inspect
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from malaria.base.errors import UserError
from malaria.base.text import printable, shorten
from malaria.networks.application_names import IMAGENET, PREFIX
from malaria.networks.applications import keras_own
from malaria.networks.backend import keras
from malaria.networks.load_model import silence
from malaria.networks.weight_files import check_finite, load_h5
from malaria.networks.weights import fill_in_order, reason_of
from malaria.saved.container import read_h5_config
from malaria.saved.pair import find_pair

# Seconds without an answer after which nobody is waited for.
PATIENCE = 10
# Keras's module that fetches files.
FILES: Any = inspect.getmodule(keras.utils.get_file)


class Download(NamedTuple):
    """A file that Keras fetches; digest: its MD5 or SHA-256, None where Keras has none."""

    name: str
    url: str
    digest: str | None


class _AskedForError(Exception):
    """Raised in place of fetching a file; its one argument is the Download."""


def find_own_file(network: str, source: str, image_size: tuple[int, int]) -> Path | None:
    """The file of Keras's own that init_weights: `source` means; None for that of a saved model.

    network: "keras.MobileNetV2", or one of ours, which has none. It is fetched for "imagenet", if
    Keras has not done so before. Raises UserError.
    """
    if not network.startswith(PREFIX):
        return None
    if source == IMAGENET:
        return _fetch(download_of(network.removeprefix(PREFIX), image_size))
    if not Path(source).is_file():
        return None
    pair = find_pair(source)
    is_bare = pair.kind == "h5" and read_h5_config(pair.weights) is None
    return pair.weights if is_bare else None


def fill_application(model: keras.Model, path: Path) -> None:
    """Fill all of a network of `application` but its head from a file without top.

    path: weights as Keras 2 (*_notop.h5) or Keras 3 (*.weights.h5) writes them. Raises UserError
    for the weights of another network.
    """
    source = keras_own(model.name.removeprefix(PREFIX), model.input_shape[1:3])
    try:
        with silence():
            load_h5(source, path, fill_in_order)
        check_finite(source)
    except Exception as error:
        # HDF5 and Keras fail on damaged files in many ways.
        raise UserError(
            f"init_weights: {printable(path)} does not belong to {model.name}, or is damaged: "
            f"expected its weights without top, *_notop.h5 or *.weights.h5, as Keras writes them; "
            f"{reason_of(error)}"
        ) from None
    ours = (one for one in model.layers if one.weights and one.name != "preprocessing")
    for layer in source.layers:
        # Of ImageNet's normalization the network has the numbers, see `application`.
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            next(ours).set_weights(layer.get_weights())


@cache
def download_of(name: str, image_size: tuple[int, int]) -> Download:
    """What Keras fetches for ImageNet's weights of a network without top; nothing is fetched."""
    before = FILES.get_file

    def ask(fname: str, origin: str, **known: Any) -> None:
        digest = known.get("file_hash") or known.get("md5_hash")
        raise _AskedForError(Download(fname, origin, digest))

    # Keras has the addresses nowhere but in its functions, some of which choose by the image size.
    FILES.get_file = ask
    try:
        with silence():
            keras_own(name, image_size, weights=IMAGENET)
    except _AskedForError as asked:
        found: Download = asked.args[0]
        return found
    finally:
        FILES.get_file = before
    raise UserError(f"init_weights: this Keras fetches no weights for {PREFIX}{name}")


def _fetch(file: Download) -> Path:
    """The path of the file, which Keras keeps in ~/.keras/models. Raises UserError."""
    try:
        with _without_endless_waiting(), redirect_stdout(sys.stderr):
            known = {"cache_subdir": "models", "file_hash": file.digest}
            return Path(FILES.get_file(file.name, file.url, **known))
    except Exception as error:  # Keras, urllib and sockets fail in many ways
        # Behind Keras's own words and the address.
        reason = shorten(str(error).rpartition(" -- ")[2] or type(error).__name__, 200)
        kind = "MD5" if len(file.digest or "") == 32 else "SHA-256"
        digest = f" ({kind} {file.digest})" if file.digest else ""
        raise UserError(
            f"init_weights: cannot fetch ImageNet's weights: {reason}; download "
            f"{file.url}{digest} elsewhere and set init_weights to the path of that file"
        ) from None


@contextmanager
def _without_endless_waiting() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
