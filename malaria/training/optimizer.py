"""optimizer: Adam with decoupled weight decay, and its learning-rate schedules.

"constant": always the same rate. "cosine": up to the rate over a share of all steps, then down
along a cosine to zero (Loshchilov and Hutter 2016; with a warm-up of 0.3 it is the one-cycle
schedule of Smith 2018). "fine_tune": as in fastai, the head first and then all, the layers before
it slower; for a network that begins with the weights of another.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any

from malaria.networks.application_names import PREFIX
from malaria.networks.backend import keras, tf

# Weight decay would only harm these: Loshchilov and Hutter 2019 decay weights, not offsets.
UNDECAYED = ("bias", "gamma", "beta")
# As in fastai, a cycle begins at the rate divided by this.
START = 25
Cycle = tuple[float, float, float, float]
# The cycles of fine_tune, as fastai has them: warm-up, as a share of the cycle; the rates at its
# beginning, at its top and at its end, as shares of the setting. First the frozen epoch.
FROZEN: Cycle = (0.99, 1 / START, 1.0, 1e-5)
THAWED: Cycle = (0.3, 0.5 / 5, 0.5, 0.5e-5)
# The rates of stem, body and head as shares of the head's; in the frozen epoch only the batch norms
# of the first two learn.
FROZEN_SHARES, THAWED_SHARES = (0.1, 0.1, 1.0), (0.01, 0.1, 1.0)
# Adam's beta1 falls while the rate rises.
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
    stem: Collection[str] = (),
) -> keras.optimizers.Optimizer:
    """The Keras optimizer of a schedule: "constant", "cosine" or "fine_tune".

    learning_rate: the highest of the schedule. warmup: the share of all steps, 0..1, in which the
    rate of "cosine" rises. weight_decay: decoupled (AdamW): each step takes this share, times the
    rate, from each weight. ema_decay: the share of the weights' exponential moving average that a
    step keeps; 0 for none. head: of the layers that "fine_tune" trains first (find_head); stem: of
    those that it trains slowest (find_stem).
    """
    average: dict[str, Any] = {"use_ema": ema_decay > 0, "ema_momentum": ema_decay or 0.99}
    if schedule == "fine_tune":
        cycles = FineTuneSchedule(learning_rate, steps_per_epoch, total_steps)
        return FineTune(cycles, head, stem, decoupled_decay=weight_decay, **average)
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


class FineTuneSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of the head: one cycle in the frozen epoch, one in all epochs after it."""

    def __init__(self, learning_rate: float, frozen_steps: int, total_steps: int) -> None:
        """learning_rate: the highest of the first cycle; of the second it is half."""
        self.learning_rate, self.frozen_steps = learning_rate, frozen_steps
        self.thawed_steps = max(1, total_steps - frozen_steps)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate at a step, counted from 0."""
        return self.learning_rate * self._at(step, FROZEN, THAWED)

    def momentum(self, step: tf.Tensor) -> tf.Tensor:
        """Adam's beta1 at a step."""
        high, low = MOMENTA
        return self._at(step, (FROZEN[0], high, low, high), (THAWED[0], high, low, high))

    def is_frozen(self, step: tf.Tensor) -> tf.Tensor:
        """Whether the step is of the frozen epoch, bool."""
        return tf.cast(step, tf.float32) < self.frozen_steps

    def _at(self, step: tf.Tensor, frozen: Cycle, thawed: Cycle) -> tf.Tensor:
        done = tf.cast(step, tf.float32)
        return tf.where(
            self.is_frozen(step),
            _cycle(done / self.frozen_steps, *frozen),
            _cycle((done - self.frozen_steps) / self.thawed_steps, *thawed),
        )


class FineTune(keras.optimizers.Adam):
    """Adam with a rate for each layer group: at first only the head and the batch norms learn.

    Then the stem learns slowest and the head quickest. Source: fastai's Learner.fine_tune, whose
    rates, beta1, beta2 and epsilon these are; as everywhere in Keras, the moments of a variable are
    averaged from the first step on, the frozen epoch included.
    """

    def __init__(
        self,
        schedule: FineTuneSchedule,
        head: Collection[str],
        stem: Collection[str],
        *,
        decoupled_decay: float = 0.0,
        **settings: Any,
    ) -> None:
        """decoupled_decay: the weight decay of AdamW. settings: as Adam takes them."""
        super().__init__(schedule, beta_2=0.99, epsilon=1e-5, **settings)
        self.schedule, self.decoupled_decay = schedule, decoupled_decay
        self.head, self.stem = frozenset(head), frozenset(stem)
        self.paths: dict[Any, str] = {}

    @property
    def beta_1(self) -> tf.Tensor:
        """Adam's beta1 at this step."""
        return self.schedule.momentum(self.iterations)

    @beta_1.setter
    def beta_1(self, value: float) -> None:
        """Ignore the constant that Keras's Adam sets."""

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Note the path of each variable, by all forms in which it comes back."""
        super().build(variables)
        for variable in variables:
            # On several devices each has a copy of its own.
            copies = tf.distribute.get_strategy().experimental_local_results(variable.value)
            self.paths |= {one.ref(): variable.path for one in (variable.value, *copies)}

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Change one variable at the rate of its group. learning_rate: of the head at this step."""
        path = self.paths[variable.ref()]
        rate = learning_rate * self.rate_share(path)
        if self.decoupled_decay and not path.endswith(UNDECAYED):
            self.assign_sub(variable, variable * rate * self.decoupled_decay)
        super().update_step(gradient, variable, rate)

    def rate_share(self, path: str) -> tf.Tensor:
        """The rate of a variable at this step, as a share of the head's."""
        group = group_of(path, self.head, self.stem)
        # Of the norms, batch norms and others.
        learns_frozen = group == 2 or path.endswith(("gamma", "beta"))
        frozen, thawed = FROZEN_SHARES[group] * learns_frozen, THAWED_SHARES[group]
        return tf.where(self.schedule.is_frozen(self.iterations), frozen, thawed)


def find_head(model: keras.Model) -> frozenset[str]:
    """The names of a network's head: its layers with weights after the last maps."""
    layers = [layer for layer in model.layers if layer.weights]
    have_maps = [len(layer.output.shape) == 4 for layer in layers]
    last = max((place for place, has_maps in enumerate(have_maps) if has_maps), default=-1)
    return frozenset(layer.name for layer in layers[last + 1 :])


def find_stem(model: keras.Model) -> frozenset[str]:
    """The names of a network's stem: of ours the layers that are called so.

    Of those of keras.applications the first half of what has maps, as fastai divides a ResNet.
    """
    names = [layer.name for layer in model.layers if layer.weights]
    if model.name.startswith(PREFIX):
        return frozenset(names[: (len(names) - len(find_head(model))) // 2])
    return frozenset(name for name in names if name.startswith("stem"))


def group_of(path: str, head: Collection[str], stem: Collection[str]) -> int:
    """The layer group of a variable by its path in the network: 0 stem, 1 body, 2 head."""
    # Of a Sequential network the path begins with the network's own name.
    layer = path.split("/")[-2]
    return 2 if layer in head else 0 if layer in stem else 1


def _cycle(progress: tf.Tensor, warmup: float, start: float, top: float, end: float) -> tf.Tensor:
    """From `start` to `top` while progress is below `warmup`, then to `end`, both along cosines."""
    rising = progress < warmup
    part = tf.where(rising, progress / warmup, (progress - warmup) / (1 - warmup))
    first, last = tf.where(rising, start, top), tf.where(rising, top, end)
    return first + (last - first) * (1 - tf.cos(part * math.pi)) / 2
