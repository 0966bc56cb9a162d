"""backend: TensorFlow and Keras, imported once, set up and without their chatter."""

import os
import sys
import tempfile
from contextlib import contextmanager

# Without this allocator half of the kernel time of a training on a CPU goes into page faults.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# A user's ~/.keras/keras.json may name another backend; the networks here need this one.
os.environ["KERAS_BACKEND"] = "tensorflow"


@contextmanager
def _stderr_kept_back():
    """Hold what is written to stderr, by C++ too, and show it only if the block fails.

    TensorFlow greets with some ten lines that no log level turns off.
    """
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


with _stderr_kept_back():
    import keras
    import tensorflow as tf

# What it warns of, retracing above all, is not for the user to mend.
tf.get_logger().setLevel("ERROR")

__all__ = ["keras", "tf"]
