"""model: the original's VGG16-style network, and NETWORKS, the one table of our networks.

Those of keras.applications go by keras.NAME. The network that finds cells in fields is DETECTOR.

Importing this file does not import TensorFlow: a config or --help can ask the table for free.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from malaria.base.errors import UserError
from malaria.networks.application_names import APPLICATIONS, PREFIX

if TYPE_CHECKING:
    import keras

# (height, width) of the images, or (None, None) for any; the number of labels -> a network.
Builder = Callable[[tuple[int | None, int | None], int], "keras.Model"]


@dataclass(frozen=True)
class Network:
    """One kind of network.

    build: a function, or "module:function", so that TensorFlow is imported only when it is needed.
    smallest_side: of an image that it works on, in pixels. summary: for the users of config.yaml.
    any_size: whether it can be built for images of every size.
    """

    build: Builder | str
    smallest_side: int
    summary: str
    any_size: bool = False

    def builder(self) -> Builder:
        """The function itself; TensorFlow is imported with it."""
        if not isinstance(self.build, str):
            return self.build
        found: Builder = resolve_name(self.build)
        return found


# Its labels are kinds of objects, and its answers are maps; see networks/detector.py.
DETECTOR = "detector"


def build_model(
    name: str, *, image_size: tuple[int, int], label_count: int, any_size: bool = False
) -> "keras.Model":
    """A fresh network for images (n, height, width, 3), float32, 0..1; image_size (height, width).

    Its output is (n, 1), the probability of the second label, for two labels; for more, and always
    for xresnet34, it is (n, label_count). any_size: for images of every size. Raises UserError.
    """
    network = find_network(name)
    if min(image_size) < network.smallest_side:
        raise UserError(
            f"image_size: {name} needs sides of at least {network.smallest_side} pixels; "
            f"received {list(image_size)}"
        )
    return network.builder()((None, None) if any_size else image_size, label_count)


def find_network(name: str) -> Network:
    """The Network of that name. Raises UserError, which says what it may be."""
    if name in NETWORKS:
        return NETWORKS[name]
    if name == DETECTOR:
        summary = "finds cells in fields; 550,149 parameters"
        return Network("malaria.networks.detector:detector", 32, summary)
    theirs = name.removeprefix(PREFIX)
    if theirs == name or theirs not in APPLICATIONS:
        raise UserError(f"model: {expected_in_place_of(name)}; received {name!r}")

    def build(image_size: tuple[int | None, int | None], label_count: int) -> "keras.Model":
        from malaria.networks.applications import application

        return application(theirs, image_size, label_count)

    return Network(build, APPLICATIONS[theirs], f"{theirs} of keras.applications")


def expected_in_place_of(name: str) -> str:
    """What the name of a network may be, with the nearest one, or else with all."""
    known = {one.lower(): one for one in (*NETWORKS, DETECTOR)}
    known |= {one.lower(): PREFIX + one for one in APPLICATIONS}
    near = get_close_matches(name.lower().removeprefix(PREFIX), known, n=1, cutoff=0.75)
    hint = (
        f"; did you mean {known[near[0]]}?" if near else f", NAME one of {', '.join(APPLICATIONS)}"
    )
    ours = " or ".join((*NETWORKS, DETECTOR))
    return f"expected {ours} or {PREFIX}NAME of keras.applications{hint}"


def vgg(image_size: tuple[int | None, int | None], label_count: int) -> "keras.Model":
    """The network of the first original, layer for layer: a stripped VGG16.

    Source: Simonyan and Zisserman 2014. The first weights are He's: with Keras's own, and without
    batch norm, it waits for epochs before it learns.
    """
    from malaria.networks.backend import keras
    from malaria.networks.blocks import conv, dense, output

    return keras.Sequential(
        [
            keras.Input((*image_size, 3), name="image"),  # 141 x 141 x 3
            conv(32, "block1_conv1"),
            keras.layers.MaxPooling2D(name="block1_pool"),  # 69 x 69 x 32
            conv(64, "block2_conv1"),
            conv(64, "block2_conv2"),
            keras.layers.MaxPooling2D(name="block2_pool"),  # 32 x 32 x 64
            conv(128, "block3_conv1"),
            conv(128, "block3_conv2"),
            conv(128, "block3_conv3"),
            keras.layers.MaxPooling2D(name="block3_pool"),  # 13 x 13 x 128
            keras.layers.Flatten(name="flatten"),  # 21632
            keras.layers.Dropout(0.3, name="dropout"),
            dense(256, "dense1"),
            dense(256, "dense2"),
            output(label_count),
        ],
        name="vgg",
    )


NETWORKS = {
    "vgg": Network(vgg, 42, "the first original's, 6,029,441 parameters at 141 x 141"),
    "compact": Network(
        "malaria.networks.compact:compact",
        16,
        "residual, 295,217 parameters, fast at 64 x 64",
        any_size=True,
    ),
    "keras_cnn": Network(
        "malaria.networks.keras_cnn:keras_cnn",
        22,
        "the second original's in Keras, 826,529 parameters at 128 x 128",
    ),
    "xresnet34": Network(
        "malaria.networks.xresnet34:xresnet34",
        1,
        "the second original's in FastAI, 21,832,288 parameters",
        any_size=True,
    ),
    "efficientnet_lite0": Network(
        "malaria.networks.efficientnet_lite0:efficientnet_lite0",
        1,
        "3,372,289 parameters, with ImageNet weights by benchmarks/imagenet_weights.py",
        any_size=True,
    ),
}
