"""optimizer: Adam with the learning rates of each schedule.

"constant": always the same rate. "cosine": up to the rate over a share of all steps, then down
along a cosine to zero (Loshchilov and Hutter 2016; with a warm-up of 0.3 it is the one-cycle
schedule of Smith 2018). "fine_tune": as in fastai, the head first and then all, the layers before
it slower; for a network that begins with the weights of another.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from malaria.networks.backend import keras, tf

# A keras.Variable, or the tf.Variable inside it; neither has types that mypy could check.
Variable = Any

# Weight decay would only harm these: Loshchilov and Hutter 2019 decay weights, not offsets.
UNDECAYED = ("bias", "gamma", "beta")
# As in fastai, a cycle begins at the rate divided by this.
START = 25
# Of fine_tune: shares of the rate for stem, body and head; in the first epoch, in which the body is
# frozen, and in those after it.
FROZEN, THAWED = (0.1, 0.1, 1.0), (0.005, 0.05, 0.5)
FROZEN_WARMUP, THAWED_WARMUP, THAWED_START, END = 0.99, 0.3, 1 / 5, 1e-5
MOMENTA = (0.95, 0.85)


def make_optimizer(
    schedule: str,
    *,
    learning_rate: float,
    total_steps: int,
    steps_per_epoch: int,
    warmup: float = 0.3,
    weight_decay: float = 0.0,
    ema_decay: float = 0.0,
    head: Collection[str] = (),
) -> keras.optimizers.Optimizer:
    """The Keras optimizer of a schedule: "constant", "cosine" or "fine_tune".

    learning_rate: the highest of the schedule. total_steps, steps_per_epoch: of the whole training
    and of one epoch. warmup: the share of all steps, 0..1, in which the rate of "cosine" rises.
    weight_decay: each step takes this share, times the rate, from each weight (decoupled).
    ema_decay: the share that the moving average of the weights keeps at each step; 0 for none.
    head: the names of the layers that "fine_tune" trains first, as find_head gives them.
    """
    average: dict[str, Any] = {"use_ema": ema_decay > 0, "ema_momentum": ema_decay or 0.99}
    if schedule == "fine_tune":
        optimizer = FineTune(
            learning_rate, steps_per_epoch, total_steps, head, weight_decay=weight_decay, **average
        )
    else:
        rate = learning_rate
        if schedule == "cosine":
            rate = _cosine(learning_rate, warmup=warmup, total_steps=total_steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=weight_decay, **average)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


def _cosine(
    learning_rate: float, *, warmup: float, total_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup_steps = round(warmup * total_steps)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / START if warmup_steps else learning_rate,
        decay_steps=max(1, total_steps - warmup_steps),
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


class FineTune(keras.optimizers.AdamW):
    """One epoch in which only the head and the batch norm learn, then a cycle in which all do.

    In the cycle the stem learns slowest and the head quickest. Source: fastai's Learner.fine_tune
    with its Adam: beta2 is 0.99; epsilon, 1e-5, is added after the correction of the moments, for
    which the steps of a variable are counted from the first in which it learns; and beta1 falls
    while the rate rises.
    """

    def __init__(
        self,
        learning_rate: float,
        frozen_steps: int,
        total_steps: int,
        head: Collection[str],
        **settings: Any,
    ) -> None:
        """learning_rate: the highest of the head in the first epoch; after that it is half.

        frozen_steps: of the first epoch. total_steps: with these. head: names of its layers.
        settings: as AdamW takes them.
        """
        super().__init__(learning_rate, beta_2=0.99, epsilon=1e-5, **settings)
        self.head = frozenset(head)
        self.frozen_steps = frozen_steps
        self.thawed_steps = max(1, total_steps - frozen_steps)

    @property
    def beta_1(self) -> tf.Tensor:
        """Adam's beta1 at this step."""
        high, low = MOMENTA
        return self._by_phase(
            lambda: _cycle(self._progress(), FROZEN_WARMUP, high, low, high),
            lambda: _cycle(self._progress(), THAWED_WARMUP, high, low, high),
        )

    @beta_1.setter
    def beta_1(self, value: float) -> None:
        """Ignore the constant that Keras's Adam sets."""

    @property
    def head_rate(self) -> tf.Tensor:
        """The learning rate of the head at this step."""
        return self.learning_rate * self._scheduled(FROZEN[2], THAWED[2])

    def update_step(
        self, gradient: tf.Tensor, variable: Variable, learning_rate: tf.Tensor
    ) -> None:
        """Change one variable by one step, at the rate of its group; not while it is frozen.

        gradient: of the shape of the variable. learning_rate: of the optimizer at this step, which
        is multiplied here by the share of the group.
        """
        index = self._get_variable_index(variable)
        moment, square = self._momentums[index], self._velocities[index]
        share, first = self._share(variable), self._first_step(variable)
        steps = tf.maximum(self._step() - first + 1, 1.0)
        moves = tf.cast(share > 0, gradient.dtype)
        beta_1, beta_2 = self.beta_1, self.beta_2
        self.assign_add(moment, moves * (1 - beta_1) * (gradient - moment))
        self.assign_add(square, moves * (1 - beta_2) * (tf.square(gradient) - square))
        scale = tf.sqrt(square / (1 - beta_2**steps)) + self.epsilon
        rate = learning_rate * share / (1 - beta_1**steps)
        self.assign_sub(variable, rate * moment / scale)

    def _apply_weight_decay(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            if self._use_weight_decay(variable):
                rate = self.learning_rate * self._share(variable) * self.weight_decay
                variable.assign(variable - variable * tf.cast(rate, variable.dtype))

    def _share(self, variable: Variable) -> tf.Tensor:
        """What the learning rate is multiplied by for this variable at this step."""
        group = group_of(self._path(variable), self.head)
        return self._scheduled(FROZEN[group] * self._trains_frozen(variable), THAWED[group])

    def _scheduled(self, frozen: float, thawed: float) -> tf.Tensor:
        """The value at this step of a schedule that has these highest values in its two phases."""
        return self._by_phase(
            lambda: frozen * _cycle(self._progress(), FROZEN_WARMUP, 1 / START, 1.0, END),
            lambda: thawed * _cycle(self._progress(), THAWED_WARMUP, THAWED_START, 1.0, END),
        )

    def _path(self, variable: Variable) -> str:
        # Keras passes TensorFlow's variables, which have no path.
        path: str = self._trainable_variables[self._get_variable_index(variable)].path
        return path

    def _trains_frozen(self, variable: Variable) -> bool:
        """Whether it learns in the first epoch too."""
        path = self._path(variable)
        return group_of(path, self.head) == 2 or "_norm" in path

    def _first_step(self, variable: Variable) -> int:
        return 0 if self._trains_frozen(variable) else self.frozen_steps

    def _by_phase(
        self, frozen: Callable[[], tf.Tensor], thawed: Callable[[], tf.Tensor]
    ) -> tf.Tensor:
        return tf.cond(self._step() < self.frozen_steps, frozen, thawed)

    def _progress(self) -> tf.Tensor:
        """Which share of its phase is done at this step, 0..1."""
        step = self._step()
        return tf.where(
            step < self.frozen_steps,
            step / self.frozen_steps,
            (step - self.frozen_steps) / self.thawed_steps,
        )

    def _step(self) -> tf.Tensor:
        return tf.cast(tf.convert_to_tensor(self.iterations), tf.float32)


def find_head(model: keras.Model) -> frozenset[str]:
    """The names of a network's head: its layers with weights after the last convolution."""
    layers = [layer for layer in model.layers if layer.weights]
    convolutions = [isinstance(layer, keras.layers.Conv2D) for layer in layers]
    last = max((place for place, is_one in enumerate(convolutions) if is_one), default=-1)
    after = layers[last + 1 :]
    # The norm that follows a convolution is of its block.
    if len(after) > 1 and isinstance(after[0], keras.layers.BatchNormalization):
        after = after[1:]
    return frozenset(layer.name for layer in after)


def group_of(path: str, head: Collection[str]) -> int:
    """The layer group of a variable by its path in the network: 0 stem, 1 body, 2 head."""
    layer = path.partition("/")[0]
    return 2 if layer in head else 0 if layer.startswith("stem") else 1


def _cycle(progress: tf.Tensor, warmup: float, start: float, top: float, end: float) -> tf.Tensor:
    """From `start` to `top` while progress is below `warmup`, then to `end`, both along cosines."""
    rising = progress < warmup
    part = tf.where(rising, progress / warmup, (progress - warmup) / (1 - warmup))
    first, last = tf.where(rising, start, top), tf.where(rising, top, end)
    return first + (last - first) * (1 - tf.cos(part * math.pi)) / 2
