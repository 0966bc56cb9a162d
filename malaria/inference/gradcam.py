"""gradcam: where in the cell the network looked, as a heat map and as an image."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.base.errors import UserError
from malaria.base.files import whole_file
from malaria.networks.backend import keras, tf

# The share of a side of the image that the maps of a layer should cover. The vgg's last maps cover
# 0.74 of 141 pixels, but only the middle 0.44 of 64 pixels, where the maps of an earlier layer find
# drawn parasites far better.
COVERED = 0.7
# RGB of heat 0, 1/4, ... 1, like matplotlib's inferno. Each colour is brighter than the one before,
# so that the order is seen also by colour-blind people and on a grey print.
HEAT_COLOURS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
OPACITY = 0.6  # the share of the colour where the heat is 1; the rest is the cell
GAP = 4  # pixels between an image and its overlay
SUFFIX = ".gradcam.png"


class Explainer:
    """Grad-CAM of one network (Selvaraju et al. 2017, equations 1 and 2).

    It uses the maps of the last layer that does not pool and whose maps cover most of the image.
    """

    def __init__(self, model: keras.Model) -> None:
        """model: as load_model gives it; it is left as it is.

        Raises UserError for a network without maps of more than one pixel, with a network inside
        it, or without a sigmoid or a softmax at its end.
        """
        copy = _copy_with_logits(model)
        self._of_scores = _ends_in_scores(model)
        layer, self._verdict = _split(copy)
        self._maps = keras.Model(copy.inputs[0], layer.output)
        sizes = copy.inputs[0].shape[1:3], layer.output.shape[1:3]
        sides = zip(*sizes, *_centres(copy, layer), strict=True)
        self._rows, self._columns = (_interpolation(*side) for side in sides)

    def heat_maps(self, images: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
        """The evidence of each place for an image's label: (n, height, width), float32, 0..1.

        images: (n, height, width, 3), float32, as the network takes them; labels: (n,), integers.
        Each map is divided by its own maximum; it is all zero if nothing speaks for the label.
        """
        maps = self._maps(tf.convert_to_tensor(images, tf.float32), training=False)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(maps)
            logits = self._verdict(maps, training=False)
            # The softmax of these logarithms is the scores divided by their sum.
            logits = tf.math.log_sigmoid(logits) if self._of_scores else logits
            evidence = _log_odds(logits, labels)
        weights = tf.reduce_mean(tape.gradient(evidence, maps), axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
        heat = self._rows @ heat @ self._columns.T
        hottest = heat.max(axis=(1, 2), keepdims=True)
        return np.divide(heat, hottest, out=np.zeros_like(heat), where=hottest > 0)


def _log_odds(logits: tf.Tensor, labels: Sequence[int] | np.ndarray) -> tf.Tensor:
    """log p - log(1 - p) of each row's label, (n,), from logits (n, 1) or (n, number of labels).

    Unlike p itself it has a gradient even where the network is sure.
    """
    if logits.shape[1] == 1:  # a sigmoid is the softmax of this and a zero
        logits = tf.concat([tf.zeros_like(logits), logits], axis=1)
    chosen = tf.one_hot(labels, logits.shape[1], on_value=True, off_value=False)
    others = tf.where(chosen, logits.dtype.min, logits)
    return tf.boolean_mask(logits, chosen) - tf.reduce_logsumexp(others, axis=1)


def _ends_in_scores(model: keras.Model) -> bool:
    """True if the network ends in a sigmoid for each of several labels."""
    is_sigmoid = model.layers[-1].get_config().get("activation") == "sigmoid"
    return is_sigmoid and model.output_shape[-1] > 1


def _copy_with_logits(model: keras.Model) -> keras.Model:
    """A copy of the network without its last sigmoid or softmax.

    The layers are new too: those of a Sequential that was read from a file remember other graphs.
    """
    last = model.layers[-1]
    if any(isinstance(layer, keras.Model) for layer in model.layers):
        raise UserError("Grad-CAM: expected a network of plain layers, found one within another")
    if last.get_config().get("activation") not in ("sigmoid", "softmax"):
        raise UserError(f"Grad-CAM: expected a sigmoid or a softmax at the end, found {last.name}")

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        change = {"activation": "linear"} if layer is last else {}
        return type(layer).from_config(layer.get_config() | change)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def _split(model: keras.Model) -> tuple[keras.layers.Layer, keras.Model]:
    """(the last layer whose maps cover the image, or else that has maps, the network behind it).

    Raises UserError if none has maps.
    """
    sides = np.array(model.inputs[0].shape[1:3])

    def covers(layer: keras.layers.Layer) -> bool:
        _, step = _centres(model, layer)
        return bool((step * layer.output.shape[1:3] >= COVERED * sides).all())

    layers = [layer for layer in reversed(model.layers) if _has_maps(layer)]
    for layer in sorted(layers, key=covers, reverse=True):
        # Keras refuses a layer that another path leads past; before 3.13 only when it is called.
        with suppress(ValueError, KeyError):
            verdict = keras.Model(layer.output, model.outputs[0])
            verdict(tf.zeros((1, *layer.output.shape[1:])))
            return layer, verdict
    raise UserError(
        "Grad-CAM: expected a network with maps (height, width, channels) of more than one pixel, "
        f"found none in {model.name}"
    )


def _has_maps(layer: keras.layers.Layer) -> bool:
    """True if it gives (n, height, width, channels) of more than one pixel, and does not pool."""
    shape = layer.output.shape
    is_other = hasattr(layer, "pool_size") or isinstance(layer, keras.layers.InputLayer)
    return not is_other and len(shape) == 4 and shape[1] * shape[2] > 1


def _centres(model: keras.Model, layer: keras.layers.Layer | None) -> tuple[np.ndarray, np.ndarray]:
    """(offset, step) in pixels of the image, each (2,): pixel i of a map is at offset + i * step.

    The first number is for the rows, the second for the columns. Where paths join, those of the
    first. Source: Araujo et al. 2019, Computing receptive fields of convolutional neural networks.
    """
    makers = {id(maker.output): maker for maker in model.layers}
    offset, step = np.zeros(2), np.ones(2)
    while layer is not None and not isinstance(layer, keras.layers.InputLayer):
        if isinstance(layer, keras.layers.ZeroPadding2D):
            offset = offset - [before for before, _ in layer.padding]
        window = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
        if window is not None:
            reach = (np.array(window) - 1) * getattr(layer, "dilation_rate", 1)
            given, made = (np.array(end.shape[1:3]) for end in (layer.input, layer.output))
            # Of padding "same"; without it nothing is missing.
            zeros = np.maximum((made - 1) * layer.strides + reach + 1 - given, 0)
            offset = offset * layer.strides + reach / 2 - zeros // 2
            step = step * layer.strides
        source = layer.input[0] if isinstance(layer.input, list) else layer.input
        layer = makers.get(id(source))
    return offset, step


def _interpolation(side: int, map_side: int, offset: float, step: float) -> np.ndarray:
    """(side, map_side), float32: multiplied by a map, it stretches that over a side of the image.

    Bilinear, with each pixel of a map at the middle of its receptive field. Where layers do not
    pad, the map does not reach the borders: the vgg's last 26 pixels lie at 18 to 119 of 141. Heat
    fades towards a border that is far from them.
    """
    places = (np.arange(side) - offset) / step
    nearest = places.clip(0, map_side - 1)
    weights = (1 - np.abs(nearest[:, None] - np.arange(map_side))).clip(0)
    beyond = (np.abs(places - nearest) - 0.5).clip(0)  # a pixel itself reaches half a step out
    fading = 1 - beyond / max(1, beyond.max())
    matrix: np.ndarray = (weights * fading[:, None]).astype(np.float32)
    return matrix


def overlay(image: np.ndarray, heat_map: np.ndarray) -> np.ndarray:
    """The image with its heat in colour over it: (height, width, 3), uint8, RGB.

    image: (height, width, 3), uint8, RGB; heat_map: (height, width), 0..1. Pixels without heat
    stay as they are.
    """
    marks = np.linspace(0, 1, len(HEAT_COLOURS))
    colours = np.stack([np.interp(heat_map, marks, row) for row in np.transpose(HEAT_COLOURS)], -1)
    mixed = image + OPACITY * heat_map[..., None] * (colours - image)
    pixels: np.ndarray = mixed.round().astype(np.uint8)
    return pixels


def save_overlay(path: Path | str, image: np.ndarray, heat_map: np.ndarray) -> None:
    """Write the image and, to the right of it, its overlay as one PNG, whole or not at all.

    image, heat_map: as `overlay` takes them. Raises UserError if it cannot be written.
    """
    gap = np.full((len(image), GAP, 3), 255, np.uint8)
    both = np.concatenate([image, gap, overlay(image, heat_map)], axis=1)
    with whole_file(path) as temporary:
        Image.fromarray(both).save(temporary, format="PNG")
