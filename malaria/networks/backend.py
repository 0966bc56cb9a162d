"""backend: TensorFlow and Keras, imported once, set up and without their chatter."""

import os

from malaria.base.streams import stderr_kept_back

# Without this allocator half of the kernel time of a training on a CPU goes into page faults.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# A user's ~/.keras/keras.json may name another backend; the networks here need this one.
os.environ["KERAS_BACKEND"] = "tensorflow"


# TensorFlow greets with some ten lines that no log level turns off.
with stderr_kept_back():
    import keras
    import tensorflow as tf

# What it warns of, retracing above all, is not for the user to mend.
tf.get_logger().setLevel("ERROR")

__all__ = ["keras", "tf"]
