"""distillation: labels mixed with the answers of trained models (Hinton, Vinyals and Dean 2015).

A label says only which one it is; several networks together also say how sure one can be, and where
a label is wrong. They are asked about each image as it was changed at random.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from malaria.augmentation.resampling import resize
from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.networks.backend import tf
from malaria.networks.load_model import load_model
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata, read_metadata
from malaria.saved.pair import find_pair, read_architecture

# (images, labels) -> the labels to learn, of the same shape.
LabelMixing = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def load_teachers(
    paths: Sequence[str], labels: Sequence[str], pixel_format: PixelFormat, share: float
) -> LabelMixing:
    """A function that mixes labels with the mean answer of the models at `paths`.

    share: of the answer, 0..1; the rest is the label's. A teacher of another image size gets the
    images at its own; labels in another order are matched by name. Raises UserError for one of
    other labels or another pixel_format.
    """
    teachers = [_load_teacher(path, labels, pixel_format) for path in paths]
    log(f"{len(teachers)} teachers: {share:g} of what is learnt are their answers")

    def mix(images: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        answers = tf.add_n([ask(images) for ask in teachers]) / len(teachers)
        return (1 - share) * known + share * tf.cast(answers, known.dtype)

    return mix


def _load_teacher(
    path: str, labels: Sequence[str], pixel_format: PixelFormat
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from images to the probability of the second of two labels, (n, 1)."""
    pair = find_pair(path)
    architecture = read_architecture(pair)
    metadata = read_metadata(pair, architecture)
    _check_teacher(path, metadata, labels, pixel_format)
    model, size = load_model(pair, architecture), metadata.pixels.size
    second = metadata.labels.index(labels[1])

    def ask(images: tf.Tensor) -> tf.Tensor:
        if tuple(images.shape[1:3]) != size:
            images = resize(images, size)
        answers = model(images, training=False)
        if answers.shape[-1] == 1:
            answers = tf.concat([1 - answers, answers], axis=-1)
        return answers[:, second : second + 1]

    return ask


def _check_teacher(
    path: str, metadata: Metadata, labels: Sequence[str], pixel_format: PixelFormat
) -> None:
    """Raise UserError for a model whose answers are not about these labels and pixels."""
    if metadata.assumed:
        raise UserError(
            f"teachers: {printable(path)} does not say which labels and pixels it learnt: say it "
            "with run.py --model, --labels, --channels and --scale, and --save it"
        )
    size = metadata.pixels.size
    for what, expected, received in (
        ("labels", sorted(labels), sorted(metadata.labels)),
        ("pixels", replace(pixel_format, size=size), metadata.pixels),
        ("output", "probabilities", metadata.output),
    ):
        if expected != received:
            raise UserError(
                f"teachers: {printable(path)}: expected {what} {printable(expected)}, received "
                f"{printable(received)}"
            )
