"""applications: the classification networks of keras.applications, for our images and labels."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from malaria.networks.application_names import PREFIX
from malaria.networks.backend import keras, tf
from malaria.networks.blocks import output

# Of ImageNet's images as 0..1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# As in our own networks: Keras's .99 or .999 would keep ImageNet's statistics for thousands of
# steps, with which no network answers right that was trained on those of a batch of cells.
MOMENTUM = 0.9


def application(
    name: str, image_size: tuple[int | None, int | None], label_count: int
) -> keras.Model:
    """The network keras.applications.<name> with our head; images are float32, 0..1, RGB.

    Its own preprocessing stands in it, as a Rescaling, or as a frozen 1 x 1 convolution where it
    turns the channels round. All layers are Keras's plain ones, and have the names that Keras gives
    them in a fresh process.
    """
    image = keras.Input((*image_size, 3), name="image")
    body = _plain(keras_own(name, image_size, _preprocessing(name)(image)))
    features = keras.layers.Dropout(0.3, name="head_dropout")(body.output)
    return keras.Model(body.input, output(label_count)(features), name=f"{PREFIX}{name}")


def keras_own(
    name: str,
    image_size: tuple[int | None, int | None],
    image: tf.Tensor | None = None,
    *,
    weights: str | None = None,
) -> keras.Model:
    """What Keras builds, without its top and with pooling: images -> (n, k) features.

    image: what it reads, as preprocess_input gives it; None: an input of its own. weights:
    "imagenet", which Keras then fetches and loads by itself, or None.
    """
    build: Callable[..., keras.Model] = getattr(keras.applications, name)
    shape = (*image_size, 3)
    return build(
        include_top=False, weights=weights, input_tensor=image, input_shape=shape, pooling="avg"
    )


def _preprocessing(name: str) -> keras.layers.Layer:
    """The layer that does to 0..1 what the network's preprocess_input does to 0..255.

    What that is, is read off what it makes of black and of each pure colour.
    """
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)
    module: Any = inspect.getmodule(getattr(keras.applications, name))
    made = module.preprocess_input(colours[:, None, None])[:, 0, 0]
    offset, matrix = made[0], made[1:] - made[0]
    scale = matrix.diagonal()
    # In float32, since half precision has 8 bits for a channel's 255 levels.
    known: dict[str, Any] = {"name": "preprocessing", "dtype": "float32"}
    if np.allclose(matrix, np.diag(scale)):
        return keras.layers.Rescaling(scale.tolist(), offset.tolist(), **known)
    return keras.layers.Conv2D(
        3,
        1,
        kernel_initializer=keras.initializers.Constant(matrix.tolist()),
        bias_initializer=keras.initializers.Constant(offset.tolist()),
        trainable=False,
        **known,
    )


def _plain(model: keras.Model) -> keras.Model:
    """A copy, with other first weights, of layers that any Keras reads, under lasting names."""
    # Keras numbers on from the layers that this process made before.
    numbered = [_numbered(layer) for layer in model.layers]
    first = {kind: min(n for other, n in numbered if other == kind) for kind, _ in numbered}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        kind, number = _numbered(layer) if isinstance(layer, keras.layers.Layer) else ("", 0)
        if kind:
            number -= first[kind]
            config["name"] = f"{kind}_{number}" if number else kind
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = min(config["momentum"], MOMENTUM)
        if isinstance(layer, keras.layers.Normalization):
            # EfficientNet keeps ImageNet's numbers as weights, the deviation in place of the
            # variance, and mends that by another layer, but only with ImageNet's weights.
            config |= {"mean": MEAN, "variance": [one**2 for one in DEVIATION]}
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone, call_function=_call)


def _call(layer: Any, *inputs: Any, **settings: Any) -> Any:
    """The output of a layer; of InceptionResNetV2's own class by two plain layers."""
    if type(layer).__name__ != "CustomScaleLayer":
        return layer(*inputs, **settings)
    [[maps, residue]] = inputs
    residue = keras.layers.Rescaling(layer.scale, name=f"{layer.name}_scale")(residue)
    return keras.layers.Add(name=layer.name)([maps, residue])


def _numbered(layer: keras.layers.Layer) -> tuple[str, int]:
    """("conv2d", 3) of a layer that Keras named conv2d_3; ("", 0) of one that has a name."""
    kind = re.sub(r"_\d+$", "", layer.name)
    is_own = kind.replace("_", "") == type(layer).__name__.lower()
    return (kind, int(layer.name[len(kind) + 1 :] or 0)) if is_own else ("", 0)
