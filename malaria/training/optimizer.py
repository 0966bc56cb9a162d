"""optimizer: Adam with the learning rates of each schedule.

"constant"; "cosine": up to the rate over a share of all steps, then down along a cosine to zero
(Loshchilov and Hutter 2016; with a warm-up of 0.3 it is the one-cycle schedule of Smith 2018);
"fine_tune": fastai's of the same name, for a network whose layers are called stem, stage and head.
"""

import math

from malaria.networks.backend import keras, tf

# What weight decay would only harm: Loshchilov and Hutter 2019 decay weights, not offsets.
UNDECAYED = ("bias", "gamma", "beta")
# fastai divides the rate by it to begin a cycle.
START = 25
# Of fine_tune: shares of the rate for stem, body and head, in its first, frozen, epoch and after.
FROZEN, THAWED = (0.1, 0.1, 1.0), (0.005, 0.05, 0.5)
FROZEN_WARMUP, THAWED_WARMUP, THAWED_START, END = 0.99, 0.3, 1 / 5, 1e-5
MOMENTA = (0.95, 0.85)


def make_optimizer(
    schedule,
    *,
    learning_rate,
    total_steps,
    steps_per_epoch,
    warmup=0.3,
    weight_decay=0.0,
    weight_average=0.0,
):
    """The Keras optimizer of that schedule, "constant", "cosine" or "fine_tune".

    weight_decay: decoupled, a share of a weight times the rate at each step. weight_average: the
    share that the moving average of the weights keeps at each step; 0 for none.
    """
    average = {"use_ema": weight_average > 0, "ema_momentum": weight_average or 0.99}
    if schedule == "fine_tune":
        optimizer = FineTune(
            learning_rate, steps_per_epoch, total_steps, weight_decay=weight_decay, **average
        )
    else:
        rate = learning_rate
        if schedule == "cosine":
            rate = _cosine(learning_rate, warmup=warmup, total_steps=total_steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=weight_decay, **average)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


def _cosine(learning_rate, *, warmup, total_steps):
    warmup_steps = round(warmup * total_steps)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / START if warmup_steps else learning_rate,
        decay_steps=max(1, total_steps - warmup_steps),
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


class FineTune(keras.optimizers.AdamW):
    """One epoch with the body frozen but for its batch norm, then a cycle of all, slowest in front.

    Source: fastai's Learner.fine_tune with its Adam (beta2 .99, epsilon 1e-5 added after the
    correction of the moments, whose steps are counted for each variable from when it thaws, and a
    beta1 that falls while the rate rises). learning_rate: of the head in the frozen epoch; after it
    half.
    """

    def __init__(self, learning_rate, frozen_steps, total_steps, **settings):
        super().__init__(learning_rate, beta_2=0.99, epsilon=1e-5, **settings)
        self.frozen_steps = frozen_steps
        self.thawed_steps = max(1, total_steps - frozen_steps)

    @property
    def beta_1(self):
        """Of this step."""
        high, low = MOMENTA
        return self._by_phase(
            lambda: _cycle(self._progress(), FROZEN_WARMUP, high, low, high),
            lambda: _cycle(self._progress(), THAWED_WARMUP, high, low, high),
        )

    @beta_1.setter
    def beta_1(self, value):
        """Adam's own constant, which does not count here."""

    @property
    def head_rate(self):
        """The learning rate of the head at this step."""
        return self.learning_rate * self._scheduled(FROZEN[2], THAWED[2])

    def update_step(self, gradient, variable, learning_rate):
        """One step of one variable, at the rate of its group; none while it is frozen."""
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

    def _apply_weight_decay(self, variables):
        for variable in variables:
            if self._use_weight_decay(variable):
                rate = self.learning_rate * self._share(variable) * self.weight_decay
                variable.assign(variable - variable * tf.cast(rate, variable.dtype))

    def _share(self, variable):
        """By what the learning rate is multiplied for this variable at this step."""
        group = group_of(self._path(variable))
        return self._scheduled(FROZEN[group] * self._trains_frozen(variable), THAWED[group])

    def _scheduled(self, frozen, thawed):
        """These peaks of the two phases, by what the schedule makes of them at this step."""
        return self._by_phase(
            lambda: frozen * _cycle(self._progress(), FROZEN_WARMUP, 1 / START, 1.0, END),
            lambda: thawed * _cycle(self._progress(), THAWED_WARMUP, THAWED_START, 1.0, END),
        )

    def _path(self, variable):
        # TensorFlow hands over its own variables, which have no path.
        return self._trainable_variables[self._get_variable_index(variable)].path

    def _trains_frozen(self, variable):
        path = self._path(variable)
        return group_of(path) == 2 or "_norm" in path

    def _first_step(self, variable):
        return 0 if self._trains_frozen(variable) else self.frozen_steps

    def _by_phase(self, frozen, thawed):
        return tf.cond(self._step() < self.frozen_steps, frozen, thawed)

    def _progress(self):
        """How far the phase of this step has come, 0..1."""
        step = self._step()
        return tf.where(
            step < self.frozen_steps,
            step / self.frozen_steps,
            (step - self.frozen_steps) / self.thawed_steps,
        )

    def _step(self):
        return tf.cast(tf.convert_to_tensor(self.iterations), tf.float32)


def group_of(path):
    """0 stem, 1 body, 2 head: the layer group of a variable by its path in the network."""
    layer = path.partition("/")[0]
    return 0 if layer.startswith("stem") else 1 if layer.startswith("stage") else 2


def _cycle(progress, warmup, start, top, end):
    """From `start` to `top` while progress is below `warmup`, then to `end`, both along cosines."""
    rising = progress < warmup
    part = tf.where(rising, progress / warmup, (progress - warmup) / (1 - warmup))
    first, last = tf.where(rising, start, top), tf.where(rising, top, end)
    return first + (last - first) * (1 - tf.cos(part * math.pi)) / 2
