"""application_names: the networks of keras.applications that can be trained, saved and exported.

TensorFlow is not imported here: settings are checked by this table. A test holds it equal to what
Keras has. ConvNeXt is not in it: its layers are Keras's own only in name, and a saved pair holds
none that could run code of their own.
"""

PREFIX = "keras."
# As init_weights: the weights that Keras fetches for them.
IMAGENET = "imagenet"
_EFFICIENT = (*(f"EfficientNetB{n}" for n in range(8)), *(f"EfficientNetV2B{n}" for n in range(4)))
_OTHERS = (
    *("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L", "MobileNet", "MobileNetV2"),
    *("MobileNetV3Small", "MobileNetV3Large", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2"),
    *("ResNet101V2", "ResNet152V2", "DenseNet121", "DenseNet169", "DenseNet201", "NASNetMobile"),
    *("NASNetLarge", "VGG16", "VGG19"),
)
# {Keras's name: the smallest side of an image, pixels, that Keras takes}.
APPLICATIONS = {
    **dict.fromkeys((*_EFFICIENT, *_OTHERS), 32),
    **{"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75},
}
