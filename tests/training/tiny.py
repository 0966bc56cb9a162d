"""Networks so small that a step is built in a second."""

from malaria.networks.backend import keras
from malaria.networks.blocks import output


def tiny(image_size, label_count):
    """One convolution with batch norm and dropout; 69 weights with two labels."""
    image = keras.Input((*image_size, 3), name="image")
    maps = keras.layers.Conv2D(2, 3, activation="relu", name="conv")(image)
    maps = keras.layers.BatchNormalization(momentum=0.9, name="conv_norm")(maps)
    pooled = keras.layers.GlobalMaxPooling2D(name="maximum")(maps)
    pooled = keras.layers.Dropout(0.3, name="dropout")(pooled)
    return keras.Model(image, output(label_count)(pooled), name="tiny")


def undropped(image_size, label_count):
    """The same, but no unit is dropped."""
    model = tiny(image_size, label_count)
    model.get_layer("dropout").rate = 0.0
    return model
