"""step: one compiled training step, for a CPU, a GPU, several of them and several machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from malaria.augmentation.draws import Draws
from malaria.networks.backend import keras, tf
from malaria.training.batches import Batch
from malaria.training.dropout import DrawnDropouts
from malaria.training.feed import Prepare, Stream
from malaria.training.losses import is_right, make_losses

# So long, in seconds, one call of several steps may take: Ctrl-C is heeded between two calls.
CALL_SECONDS = 0.3
MOST_STEPS = 200


class Learner:
    """Trains a network on the devices of a strategy, and validates it, several steps a call.

    Each device computes the gradient of its part of a batch, divided by the number of images of the
    whole batch; the sum over the devices moves the weights, which are alike on all. So the devices
    together take the step that one would take.
    """

    def __init__(
        self,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        *,
        label_smoothing: float = 0.0,
        xla: bool = False,
    ) -> None:
        """model: with its optimizer, made in the scope of the strategy. label_smoothing: as
        make_losses takes it. xla: whether XLA compiles the steps of whole batches.
        """
        self.model = model
        self.strategy = strategy
        self._losses = make_losses(model.output_shape[-1], label_smoothing)
        # TensorFlow tells one sum over machines from another by the step of the call it is in: all
        # machines have to take as many steps a call, or they wait for one another for ever.
        self._shares_calls = strategy.cluster_resolver is not None
        self._dropouts = DrawnDropouts(model)
        with strategy.scope():
            self._totals = _Totals()
        self._train = self._compiled(self._train_step)
        # XLA would compile once more, for half a minute, for the smaller batch that ends an epoch.
        self._train_whole = self._compiled(self._train_step, xla=True) if xla else self._train
        self._validate = self._compiled(self._validate_step)
        self._training_pace, self._validation_pace = _Pace(), _Pace()

    def train(self, stream: Stream, after_call: Callable[[int], object]) -> tuple[float, float]:
        """Take a step with each batch; return (mean loss, share right).

        after_call: told how many steps were taken; it may raise.
        """
        self._totals.reset()
        whole = stream.count - stream.smaller
        self._run(self._train_whole, stream, whole, after_call, self._training_pace)
        self._run(self._train, stream, stream.smaller, after_call, _Pace())
        return self._totals.means()

    def validate(self, stream: Stream, after_call: Callable[[int], object]) -> tuple[float, float]:
        """(mean loss, share right) of all batches; the network stays as it is."""
        self._totals.reset()
        self._run(self._validate, stream, stream.count, after_call, self._validation_pace)
        return self._totals.means()

    def _run(
        self,
        function: Callable[..., None],
        stream: Stream,
        left: int,
        after_call: Callable[[int], object],
        pace: _Pace,
    ) -> None:
        """Call the function until no batch is left of so many."""
        if self._shares_calls:
            pace.steps = self._agree(pace.wanted)
        while left:
            steps = min(left, pace.steps)
            started = time.perf_counter()
            function(stream.batches, stream.stored, tf.constant(steps), stream.prepare)
            pace.note(steps, time.perf_counter() - started)
            if not self._shares_calls:
                pace.steps = pace.wanted
            left -= steps
            after_call(steps)

    def _agree(self, steps: int) -> int:
        """The same number for all workers, near that of each."""
        own = self.strategy.run(lambda: tf.constant(float(steps)))
        return int(self.strategy.reduce(tf.distribute.ReduceOp.MEAN, own, axis=None))

    def _compiled(self, step: Callable[[Batch], None], *, xla: bool = False) -> Callable[..., None]:
        """A compiled function that takes a step with each of so many batches, on every device."""

        @tf.function
        def run(
            batches: Iterator[Batch], stored: tf.Tensor | None, steps: tf.Tensor, prepare: Prepare
        ) -> None:
            def prepare_and_step(batch: Batch, stored: tf.Tensor | None) -> None:
                step(prepare(batch, stored))

            one = tf.function(prepare_and_step, jit_compile=True) if xla else prepare_and_step
            for _ in tf.range(steps):
                self.strategy.run(one, args=(next(batches), stored))

        return cast(Callable[..., None], run)

    def _train_step(self, batch: Batch) -> None:
        losses, gradients, outputs = self._compute_gradients(batch)
        variables = self.model.trainable_variables
        self.model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._totals.add(losses, batch.labels, outputs)

    def _validate_step(self, batch: Batch) -> None:
        outputs = self.model(batch.images, training=False)
        self._totals.add(self._losses(batch.labels, outputs), batch.labels, outputs)

    def _compute_gradients(self, batch: Batch) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
        """(loss of each image, gradients of this part's share of the loss, outputs)."""
        places = None if self.strategy.num_replicas_in_sync == 1 else batch.places
        draws = Draws(batch.seed, places, batch.size)
        with tf.GradientTape() as tape, self._dropouts.drawing(draws):
            outputs = self.model(batch.images, training=True)
            losses = self._losses(batch.labels, outputs)
            loss = tf.reduce_sum(losses) / tf.cast(batch.size, losses.dtype)
            # A network may punish large weights itself; each device does so by its share.
            penalty = tf.add_n(self.model.losses) if self.model.losses else 0.0
            loss += penalty / self.strategy.num_replicas_in_sync
            loss = self.model.optimizer.scale_loss(loss)
        return losses, tape.gradient(loss, self.model.trainable_variables), outputs


class _Totals:
    """Sums over images, on each device its own, added up where they are read."""

    def __init__(self) -> None:
        # Of the losses, of those that are right, and of all.
        self._sums = tf.Variable(
            tf.zeros(3),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )

    def reset(self) -> None:
        self._sums.assign(tf.zeros(3))

    def add(self, losses: tf.Tensor, labels: tf.Tensor, outputs: tf.Tensor) -> None:
        right = tf.cast(is_right(labels, outputs), tf.float32)
        count = tf.cast(tf.size(losses), tf.float32)
        self._sums.assign_add(tf.stack([tf.reduce_sum(losses), tf.reduce_sum(right), count]))

    def means(self) -> tuple[float, float]:
        loss, right, count = self._sums.read_value().numpy().tolist()
        return loss / count, right / count


@dataclass
class _Pace:
    """How many steps go into one call, so that it takes about CALL_SECONDS."""

    steps: int = 1
    wanted: int = 1
    calls: int = 0

    def note(self, steps: int, seconds: float) -> None:
        """One call of so many steps has taken so long."""
        self.calls += 1
        # The first call builds the graph.
        if self.calls > 1:
            fitting = int(CALL_SECONDS * steps / max(seconds, 1e-6))
            self.wanted = max(1, min(fitting, 2 * self.steps, MOST_STEPS))
