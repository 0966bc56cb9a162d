"""backend: import TensorFlow and Keras, set them up, and keep their messages off the screen."""

import os
import platform

from malaria.base.streams import stderr_kept_back

# Without this allocator, training on a CPU spends half of its time in the kernel on page faults.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# TensorFlow itself uses oneDNN only on processors with units for neural networks; on others too it
# makes convolutions faster (docs/scaling.md).
if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Else TensorFlow takes all memory of a GPU at once, and nobody could tell whether the images fit.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# A user's ~/.keras/keras.json may name another backend; the networks here need this one.
os.environ["KERAS_BACKEND"] = "tensorflow"

# On import TensorFlow writes about ten lines that no log level turns off.
with stderr_kept_back():
    import keras
    import tensorflow as tf

# Its warnings, most of them of retracing, are about nothing that a user could change.
tf.get_logger().setLevel("ERROR")

__all__ = ["keras", "tf"]
