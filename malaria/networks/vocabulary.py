"""vocabulary: the layers that a saved network may name; whoever wrote it, nothing else is built.

A file may come from a stranger. A class that is not in this table could run code of its own.
"""

from collections.abc import Callable
from operator import add, mul, sub, truediv
from typing import Any

LAYERS = (
    *("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"),
    *("MaxPooling2D", "AveragePooling2D", "GroupNormalization", "CenterCrop", "Permute"),
    *("GlobalMaxPooling2D", "GlobalAveragePooling2D", "ZeroPadding2D", "Cropping2D", "Dense"),
    *("BatchNormalization", "BatchNormalizationV1", "LayerNormalization", "Normalization"),
    *("Rescaling", "Resizing", "UpSampling2D", "Activation", "ReLU", "LeakyReLU", "ELU", "PReLU"),
    *("Softmax", "Dropout", "SpatialDropout2D", "Flatten", "Reshape", "Add", "Multiply"),
    *("Subtract", "Average", "Maximum", "Minimum", "Concatenate"),
)
# Layers that change nothing but while training: the augmentation that some put into a network.
ONLY_TRAINING = (
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "RandomTranslation"),
    *("RandomBrightness", "RandomHeight", "RandomWidth", "GaussianNoise", "GaussianDropout"),
    *("AlphaDropout", "ActivityRegularization"),
)
# Without hard_sigmoid: Keras 3 computes another function under that name.
ACTIVATIONS = (
    *("linear", "relu", "relu6", "elu", "selu", "gelu", "silu", "swish", "exponential"),
    *("sigmoid", "softmax", "softplus", "softsign", "tanh", "leaky_relu", "mish"),
    *("hard_silu", "hard_swish"),
)
NETWORKS = ("Sequential", "Functional", "Model")
# The modules of Keras's own classes, as Keras 2 and Keras 3 write them; a class of another module
# only has the same name.
MODULES = (
    *(None, "keras", "keras.layers", "keras.models", "keras.src.models.functional"),
    *("keras.src.models.sequential", "keras.engine.functional", "keras.engine.sequential"),
    *("keras.src.engine.functional", "keras.src.engine.sequential"),
    *("tf_keras.src.engine.functional", "tf_keras.src.engine.sequential"),
)
# Arithmetic of tensors and numbers, as `preprocess_input` of some networks leaves it in the graph,
# by the names of Keras 3 and of Keras 2.
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    **{"TrueDivide": truediv, "Subtract": sub, "Multiply": mul, "Add": add},
    **{"math.truediv": truediv, "math.subtract": sub, "math.multiply": mul, "math.add": add},
    **{"__operators__.add": add, "nn.bias_add": add},
}
# One channel, channels one after another, and all of them in reverse; and what changes no number.
REORDERINGS = ("GetItem", "__operators__.getitem", "Stack", "Cast")
OPERATIONS_MODULE = "keras.src.ops.numpy"
