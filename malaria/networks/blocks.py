"""blocks: the layers that several networks share."""

from malaria.networks.backend import keras


def conv(filters: int, name: str) -> keras.layers.Layer:
    """A 3 x 3 convolution without padding, and ReLU."""
    return keras.layers.Conv2D(
        filters, 3, activation="relu", kernel_initializer="he_normal", name=name
    )


def dense(units: int, name: str) -> keras.layers.Layer:
    """A fully connected layer, and ReLU."""
    return keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=name)


def output(label_count: int) -> keras.layers.Layer:
    """One sigmoid for two labels, else a softmax.

    Always float32, since half precision cannot hold a small probability.
    """
    units, activation = (1, "sigmoid") if label_count == 2 else (label_count, "softmax")
    return keras.layers.Dense(units, activation=activation, dtype="float32", name="probability")
