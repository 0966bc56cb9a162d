"""detector: where in a field the cells are, of which kind and how large."""

from malaria.networks.backend import keras, tf

# Channels at a half, a quarter, an eighth and a sixteenth of the field's resolution.
FILTERS = (24, 48, 96, 128)
# Before the training one place in a hundred is taken for the middle of a cell (Lin et al. 2017).
RARE = -4.6


def detector(image_size: tuple[int | None, int | None], kinds: int) -> keras.Model:
    """A U-Net that gives at every second pixel what CenterNet does, (n, height / 2, width / 2, k).

    Its k channels: for each kind the probability, 0..1, that the middle of such an object lies
    there; then the logarithms of its width and height, in SIZE pixels. Sides must be multiples of
    MULTIPLE. Sources: Ronneberger et al. 2015; Zhou et al. 2019, "Objects as Points".
    """
    image = keras.Input((*image_size, 3), name="image")
    maps, kept = image, []
    for level, filters in enumerate(FILTERS, start=1):
        maps = _conv_norm(maps, filters, f"down{level}_a", stride=2)
        maps = _conv_norm(maps, filters, f"down{level}_b")
        kept.append(maps)
    for level in range(len(FILTERS) - 1, 0, -1):
        filters = FILTERS[level - 1]
        maps = _conv_norm(maps, filters, f"up{level}_reduce", kernel=1)
        maps = keras.layers.UpSampling2D(name=f"up{level}")(maps)
        maps = keras.layers.Add(name=f"up{level}_add")([maps, kept[level - 1]])
        maps = _conv_norm(maps, filters, f"up{level}_conv")
    middles = keras.layers.Conv2D(
        *(kinds, 1), activation="sigmoid", bias_initializer=keras.initializers.Constant(RARE),
        name="middles",
    )(maps)  # fmt: skip
    sizes = keras.layers.Conv2D(2, 1, name="sizes")(maps)
    maps = keras.layers.Concatenate(name="maps")([middles, sizes])
    return keras.Model(image, maps, name="detector")


def _conv_norm(
    maps: tf.Tensor, filters: int, name: str, *, stride: int = 1, kernel: int = 3
) -> tf.Tensor:
    """Convolution, batch norm and ReLU."""
    maps = keras.layers.Conv2D(
        *(filters, kernel), strides=stride, padding="same", use_bias=False, name=name
    )(maps)
    maps = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(maps)
    return keras.layers.ReLU(name=f"{name}_relu")(maps)
