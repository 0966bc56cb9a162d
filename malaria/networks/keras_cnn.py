"""keras_cnn: the Keras network of the second original."""

from malaria.networks.backend import keras
from malaria.networks.blocks import conv, dense, output


def keras_cnn(image_size: tuple[int | None, int | None], label_count: int) -> keras.Model:
    """The Keras network of the second original, layer for layer.

    826,529 parameters at 128 x 128.
    """
    network = keras.Sequential([keras.Input((*image_size, 3), name="image")], name="keras_cnn")
    for block, (filters, rate) in enumerate(((16, 0.2), (32, 0.3), (64, 0.3)), start=1):
        network.add(conv(filters, f"block{block}_conv"))
        network.add(keras.layers.MaxPooling2D(name=f"block{block}_pool"))  # 63, 30, 14
        network.add(keras.layers.Dropout(rate, name=f"block{block}_dropout"))
    network.add(keras.layers.Flatten(name="flatten"))  # 12544
    network.add(dense(64, "dense"))
    network.add(keras.layers.Dropout(0.5, name="dropout"))
    network.add(output(label_count))
    return network
