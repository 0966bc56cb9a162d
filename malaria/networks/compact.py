"""compact: our own network, for two CPU cores."""

from malaria.networks.backend import keras, tf
from malaria.networks.blocks import output


def compact(image_size: tuple[int | None, int | None], label_count: int) -> keras.Model:
    """Residual stages with batch norm, and no wide layer at the end.

    He et al. 2016 for the shortcut, Ioffe and Szegedy 2015 for the norm; 295,217 parameters at any
    size of image.
    """
    image = keras.Input((*image_size, 3), name="image")  # 64 x 64 x 3
    maps = image
    for stage, filters in enumerate((16, 32, 64, 128), start=1):
        maps = _conv_norm(maps, filters, f"stage{stage}_conv")
        maps = keras.layers.MaxPooling2D(name=f"stage{stage}_pool")(maps)  # halved
        residue = _conv_norm(maps, filters, f"stage{stage}_residue")
        maps = keras.layers.Add(name=f"stage{stage}_add")([maps, residue])
    # Whether there is a parasite anywhere, and how much of it: 128 numbers each.
    pooled = [
        keras.layers.GlobalAveragePooling2D(name="average")(maps),
        keras.layers.GlobalMaxPooling2D(name="maximum")(maps),
    ]
    pooled = keras.layers.Concatenate(name="pooled")(pooled)
    pooled = keras.layers.Dropout(0.3, name="dropout")(pooled)
    return keras.Model(image, output(label_count)(pooled), name="compact")


def _conv_norm(maps: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """Convolution, batch norm and ReLU, at the same size."""
    maps = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(maps)
    # Keras's momentum of .99 would take hundreds of steps to know the data.
    maps = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(maps)
    return keras.layers.ReLU(name=f"{name}_relu")(maps)
