"""room: whether the memory holds a step of a training, and what is said where it does not."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from malaria.base.errors import UserError
from malaria.base.machine import usable_memory
from malaria.model import build_model
from malaria.networks.backend import keras, tf
from malaria.networks.load_model import cost_of


def check_memory(
    network: str, image_size: tuple[int, int], label_count: int, batch_size: int, precision: str
) -> None:
    """Raise UserError where a step cannot fit: a system kills such a process without a word.

    By the least it takes: half the outputs of all layers for a batch, for not each is kept (of
    xresnet34 two thirds), and of each weight its gradient and the two moments of Adam.
    """
    drawn = random.getstate()  # Keras draws seeds for layers that are not allocated, too
    # Keras would allocate what is refused here with the next network of the same thread.
    with ThreadPoolExecutor(1) as thread:
        outputs, weights = thread.submit(_measure, network, image_size, label_count).result()
    random.setstate(drawn)
    output_bytes = 4 if precision == "float32" else 2
    needed = batch_size * outputs * output_bytes / 2 + 16 * weights
    if needed > usable_memory():
        raise UserError(
            f"a step of {batch_size} images of {list(image_size)} takes at least "
            f"{needed / 1e9:.0f} GB of the {usable_memory() / 1e9:.0f} GB of memory: set a smaller "
            "image_size or batch_size"
        )


def _measure(network: str, image_size: tuple[int, int], label_count: int) -> tuple[int, int]:
    """(outputs of all layers for an image, weights); nothing is allocated."""
    with keras.StatelessScope(initialize_variables=False):
        model = build_model(network, image_size=image_size, label_count=label_count)
        return cost_of(model)[0], model.count_params()


@contextmanager
def raise_on_full_memory() -> Iterator[None]:
    """In this block a device without room is a UserError of one line."""
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise UserError(
            "the memory of the device is full: set a smaller batch_size or image_size"
        ) from None
