"""storage: save and load the .h5 + .json pair, and export its .tflite.

A pair may come from a stranger. What its .json asks for is checked before anything is built,
measured before anything is allocated, and what its .h5 holds is checked before it is read.
"""

import io
import json
import logging
import math
import os
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import flush
from malaria.base.streams import stderr_kept_back
from malaria.networks import keras2
from malaria.networks.backend import keras, tf
from malaria.networks.weights import load_weights, reason_of
from malaria.saved.metadata import KEY, Pair, sha256_of
from malaria.saved.tflite import digest_pair, write_sealed

# XResNet34 has 138 layers.
MAX_LAYERS = 1000
# Of all layers together, for one picture. The original at 141 px needs 7 MB.
MAX_ACTIVATION_BYTES = 2**30
# Weights may be stored as float16 or compressed; more than this is a mistake or a trap.
MAX_BYTES_PER_STORED_BYTE = 2
# What a .h5 holds beside the weights themselves; XResNet34's has 440 KB of it.
SPARE_BYTES = 2**20
# The keys of the .json that describe the network.
_OUTERMOST = ("module", "class_name", "config", "registered_name")
# build_config could ask for larger weights than the layer's real input does.
_DROPPED_ENDINGS = ("_initializer", "_regularizer", "_constraint", "build_config")


def save_pair(model, folder, name, passport_entries):
    """Write folder/name.h5, .tflite and .json, whole or not at all; return their Pair.

    The .json is the architecture as Keras writes it, with the `passport_entries` and the
    SHA-256 of the .h5 under one more key. Raises UserError if the name is taken, or if it
    cannot be written.
    """
    pair = Pair(*(Path(folder, name + suffix) for suffix in (".h5", ".json", ".tflite")))
    for path in (pair.weights, pair.architecture, pair.tflite):
        if path.exists():
            raise UserError(f"{path} exists already: move it away or choose another name")
    try:
        pair.weights.parent.mkdir(parents=True, exist_ok=True)
        # A folder in the same file system, so that a rename is all that is left to do.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving_") as workshop:
            _write(model, Path(workshop), passport_entries)
            _move(Path(workshop), pair)
    except OSError as error:
        raise UserError(f"cannot save {pair.weights}: {reason_of(error)}") from None
    return pair


def _write(model, workshop, passport_entries):
    weights, architecture = workshop / "pair.h5", workshop / "pair.json"
    # HDF5 brings the whole process down when the disk fills up under it: try the room first.
    weights.write_bytes(bytes(4 * model.count_params() + SPARE_BYTES))
    flush(weights)
    with _silence():
        # save_weights would insist on a name and a form that Keras 2 cannot read.
        model.save(weights, include_optimizer=False)
    content = json.loads(model.to_json())
    # How it was trained is in the passport; Keras would look for the loss when it loads this.
    content.pop("compile_config", None)
    digest = sha256_of(weights)
    content[KEY] = {**passport_entries, "weights_sha256": digest}
    content = _without_nan(content)
    write_sealed(workshop / "pair.tflite", to_tflite(model), digest_pair(digest, content))
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    architecture.write_text(text + "\n", encoding="utf-8")
    flush(weights)
    flush(architecture)


def to_tflite(model):
    """The network in LiteRT's form, float32, as bytes; it takes any number of images at once."""
    if any(layer.compute_dtype != "float32" for layer in model.layers):
        plain = _build(json.loads(model.to_json()))
        plain.set_weights(model.get_weights())
        model = plain
    with stderr_kept_back(), _silence(), redirect_stdout(io.StringIO()):
        return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def _move(workshop, pair):
    """Give all parts their names, the .json last: without it the others are no model."""
    moved = []
    try:
        for path in (pair.weights, pair.tflite, pair.architecture):
            os.replace(workshop / f"pair{path.suffix}", path)
            moved.append(path)
    except BaseException:
        for path in moved:
            path.unlink()
        raise


def _without_nan(value):
    """`value` with None for what JSON has no word for: NaN and infinity."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load_model(pair, architecture):
    """The network of `pair`, float32, ready to predict; `architecture` is what its .json says.

    Takes (n, height, width, 3), float32; returns (n, k) of one sigmoid or k softmax outputs.
    Raises UserError if the .json asks for anything but plain Keras layers or for more memory
    than its .h5 can fill, and if the .h5 is damaged or belongs to another .json.
    """
    # The passport and the record of the training are no part of the network.
    asked = {key: architecture[key] for key in _OUTERMOST if key in architecture}
    with _silence():
        try:
            keras2.check_architecture(asked)
            _check_room(pair, *_measure(asked))
            model = _build(asked)
        except UserError as error:
            raise UserError(f"{pair.architecture}: {error}") from None
        except Exception as error:
            # A stranger's settings fail inside Keras in as many ways as there are layers.
            raise UserError(
                f"{pair.architecture}: expected a network that Keras can build, "
                f"received: {reason_of(error)}"
            ) from None
        load_weights(model, pair)
    return model


def _measure(architecture):
    """(parameters, activations of one picture) of the network, without allocating them."""
    # Keras keeps a list, one a thread, of variables it has yet to allocate. In a thread of its
    # own a giant that is refused below is forgotten; here the next model would allocate it.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_count, architecture).result()


def _count(architecture):
    config = architecture["config"]
    entries = config["layers"] if isinstance(config, dict) else config
    if len(entries) > MAX_LAYERS:
        raise UserError(f"expected at most {MAX_LAYERS} layers, received {len(entries)}")
    with keras.StatelessScope(initialize_variables=False):
        model = _build(architecture)
        _check_ends(model.inputs, model.outputs)
        activations = sum(abs(math.prod(layer.output.shape[1:])) for layer in model.layers)
        return model.count_params(), activations


def _check_ends(inputs, outputs):
    starts, ends = [tuple(x.shape) for x in inputs], [tuple(x.shape) for x in outputs]
    [batch, *sides, channels] = starts[0]
    fits = len(starts) == len(ends) == 1 and len(ends[0]) == len(sides) == 2
    if not fits or channels != 3 or batch is not None or None in sides:
        raise UserError(
            "expected one input (None, height, width, 3) and one output (None, k), "
            f"received {starts[:3]} and {ends[:3]}"
        )


def _check_room(pair, parameters, activations):
    stored = pair.weights.stat().st_size
    if 4 * parameters > MAX_BYTES_PER_STORED_BYTE * stored + SPARE_BYTES:
        raise UserError(
            f"does not belong to {pair.weights.name}: the network has more weights "
            f"than the {stored:,} bytes of that file can hold"
        )
    if 4 * activations > MAX_ACTIVATION_BYTES:
        raise UserError(
            f"the network needs more than the {MAX_ACTIVATION_BYTES:,} bytes allowed "
            "for one picture; use one that takes smaller pictures"
        )


def _build(architecture):
    if keras2.is_keras2(architecture):
        return keras2.rebuild(architecture)
    return keras.models.model_from_json(json.dumps(_in_float32(architecture)))


def _in_float32(node):
    """A copy that computes in float32 and leaves out what does not matter for predicting."""
    if isinstance(node, list):
        return [_in_float32(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: "float32" if key == "dtype" else _in_float32(value)
        for key, value in node.items()
        if not key.endswith(_DROPPED_ENDINGS)
    }


@contextmanager
def _silence():
    """Keep what Keras has to say about old formats off the screen."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
