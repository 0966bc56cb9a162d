"""detection_targets: what a detector learns: maps made of boxes, and its loss.

As CenterNet (Zhou et al. 2019): a Gaussian at the middle of each object, and its size there.
"""

import numpy as np

from malaria.fields.detect import DIAMETER, LEAST, STRIDE
from malaria.networks.backend import tf
from malaria.training.composed_fields import View

# The deviation of a Gaussian, in the object's sides, and from which height on its size is learnt.
DEVIATION, NEAR = 0.14, 0.5
# What the size weighs in the loss.
WEIGHT = 0.4


def targets_of(view: View, kinds: int) -> np.ndarray:
    """(height / 2, width / 2, kinds + 4), float32, of a view of this height and width.

    Channels: for each kind a Gaussian at the middle of each such object; the logarithms of width
    and height, in DIAMETER; 0 where nobody is sure, else 1; 1 where the size is learnt, else 0.
    """
    shape = [side // STRIDE for side in view.image.shape[:2]]
    maps = np.zeros((*shape, kinds + 4), np.float32)
    maps[..., kinds + 2] = 1
    for left, top, width, height in view.boxes[~view.is_sure]:
        rows, columns = (
            slice(max(0, int(begin // STRIDE)), max(0, int((begin + length) // STRIDE) + 1))
            for begin, length in ((top, height), (left, width))
        )
        maps[rows, columns, kinds + 2] = 0
    nearest = np.zeros(shape, np.float32)
    for box, kind in zip(view.boxes[view.is_sure], view.kinds[view.is_sure], strict=True):
        _mark(maps, nearest, box, kind, kinds)
    return maps


def _mark(maps: np.ndarray, nearest: np.ndarray, box: np.ndarray, kind: int, kinds: int) -> None:
    """Add one object; nearest: the highest Gaussian at each place so far."""
    left, top, width, height = box.tolist()
    x, y = (left + width / 2) / STRIDE, (top + height / 2) / STRIDE
    down, across = (
        np.exp(-(((np.arange(count) + 0.5 - middle) * STRIDE / (DEVIATION * length)) ** 2) / 2)
        for count, middle, length in zip(maps.shape, (y, x), (height, width), strict=False)
    )
    blob = (down[:, None] * across).astype(np.float32)
    if 0 <= y < len(down) and 0 <= x < len(across):
        blob[int(y), int(x)] = 1
    maps[..., kind] = np.maximum(maps[..., kind], blob)
    is_nearest = (blob > nearest) & (blob >= NEAR)
    nearest[is_nearest] = blob[is_nearest]
    maps[is_nearest, kinds:] = np.log(width / DIAMETER), np.log(height / DIAMETER), 1, 1


def detection_losses(targets: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """The loss of each view, (n,); targets: as of `targets_of`; maps: of the network.

    The quality focal loss of the middles (Li et al. 2020, with beta 2) by the number of objects,
    and WEIGHT times the mean absolute error of the sizes.
    """
    kinds = maps.shape[-1] - 2
    found = tf.clip_by_value(maps[..., :kinds], 1e-5, 1 - 1e-5)
    wanted, is_known = targets[..., :kinds], targets[..., kinds + 2 : kinds + 3]
    entropy = -wanted * tf.math.log(found) - (1 - wanted) * tf.math.log(1 - found)
    focal = tf.reduce_sum(is_known * entropy * tf.square(found - wanted), (1, 2, 3))
    near = targets[..., kinds + 3]
    error = tf.abs(maps[..., kinds:] - targets[..., kinds : kinds + 2])
    sizes = tf.reduce_sum(near * tf.reduce_sum(error, -1), (1, 2))
    return focal / (1 + _count(wanted)) + WEIGHT * sizes / (1 + tf.reduce_sum(near, (1, 2)))


def share_found(targets: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """The share of the middles of each view, (n,), at which the network sees one; 1 of none."""
    kinds = maps.shape[-1] - 2
    wanted = targets[..., :kinds]
    found = tf.where(maps[..., :kinds] >= LEAST, wanted, 0)
    return tf.where(_count(wanted) > 0, _count(found) / tf.maximum(_count(wanted), 1), 1.0)


def _count(wanted: tf.Tensor) -> tf.Tensor:
    """The number of middles in each, (n,)."""
    return tf.reduce_sum(tf.cast(wanted > 0.999, tf.float32), (1, 2, 3))
