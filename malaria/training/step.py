"""step: one compiled training step, for a CPU, a GPU, several of them and several machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from malaria.networks.backend import keras, tf
from malaria.training.batches import Batch
from malaria.training.guard_head import WEIGHT, kind_losses
from malaria.training.losses import Objective, cross_entropy
from malaria.training.pipeline import Batches, OnDevice, Size, Stream

# One execution of several steps takes at most about this long, in seconds: Ctrl-C is heeded between
# two executions.
EXECUTION_SECONDS = 0.3
MOST_STEPS = 200


class Learner:
    """Trains a network on the devices of a pipeline's strategy, and validates it.

    Each device computes the gradient of its shard of a batch, divided by the number of images of
    the whole batch; the sum over the devices moves the weights, which are alike on all. So the
    devices together take the step that one would take.
    """

    def __init__(
        self,
        model: keras.Model,
        pipeline: Batches,
        objective: Objective | None = None,
        *,
        xla: bool = False,
    ) -> None:
        """model: compiled in the scope of the strategy. objective: None for the cross-entropy.

        xla: for the steps of whole batches.
        """
        self.model, self.pipeline, self.strategy = model, pipeline, pipeline.strategy
        self._objective = objective or cross_entropy(model.outputs[0].shape[-1])
        # TensorFlow tells one sum over machines from another by the step of the execution it is in:
        # all machines must take as many steps in each, or they wait for one another for ever.
        self._shares_executions = self.strategy.cluster_resolver is not None
        with self.strategy.scope():
            self._totals = _Totals(self._objective)
        self._train = self._compiled(self._train_step)
        # XLA would compile once more, for half a minute, for the smaller batch that ends an epoch.
        self._train_whole = self._compiled(self._train_step, xla=True) if xla else self._train
        self._validate = self._compiled(self._validate_step)
        self._training_steps, self._validation_steps = StepsPerExecution(), StepsPerExecution()

    def train(self, stream: Stream, after_call: Callable[[int], object]) -> tuple[float, float]:
        """Take a step with each batch; return the mean (loss, accuracy).

        after_call: given the number of steps just taken; it may raise.
        """
        self._totals.reset()
        whole = stream.count - stream.smaller
        self._run(self._train_whole, stream, whole, after_call, self._training_steps)
        self._run(self._train, stream, stream.smaller, after_call, StepsPerExecution())
        return self._totals.means()

    def validate(self, stream: Stream, after_call: Callable[[int], object]) -> tuple[float, float]:
        """Mean (loss, accuracy) of all batches; the network stays as it is."""
        self._totals.reset()
        self._run(self._validate, stream, stream.count, after_call, self._validation_steps)
        return self._totals.means()

    def _run(
        self,
        execute: Callable[..., None],
        stream: Stream,
        left: int,
        after_call: Callable[[int], object],
        per_execution: StepsPerExecution,
    ) -> None:
        pixels, size = self.pipeline.on_device, stream.image_size
        if self._shares_executions:
            per_execution.steps = self._agree(per_execution.wanted)
        while left:
            steps = min(left, per_execution.steps)
            started = time.perf_counter()
            execute(stream.batches, tf.constant(steps), pixels, size)
            per_execution.adapt(steps, time.perf_counter() - started)
            if not self._shares_executions:
                per_execution.steps = per_execution.wanted
            left -= steps
            after_call(steps)

    def _agree(self, steps: int) -> int:
        """The same number for all workers, near that of each."""
        own = self.strategy.run(lambda: tf.constant(float(steps)))
        return int(self.strategy.reduce(tf.distribute.ReduceOp.MEAN, own, axis=None))

    def _compiled(self, step: Callable[..., None], *, xla: bool = False) -> Callable[..., None]:
        """A compiled function that takes several steps, each with the next batch, on every device.

        step: of (batch, pixels of all images or None, image size or None).
        """

        @tf.function
        def execute(
            batches: Iterator[Batch], steps: tf.Tensor, pixels: OnDevice, size: Size
        ) -> None:
            def take(batch: Batch, pixels: OnDevice) -> None:
                step(batch, pixels, size)

            one = tf.function(take, jit_compile=True) if xla else take
            for _ in tf.range(steps):
                self.strategy.run(one, args=(next(batches), pixels))

        return cast(Callable[..., None], execute)

    def _train_step(self, batch: Batch, pixels: OnDevice, size: Size) -> None:
        batch = self.pipeline.to_train(batch, pixels, size)
        losses, gradients, outputs = self._compute_gradients(batch)
        variables = self.model.trainable_variables
        self.model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._totals.add(losses, batch.labels, outputs)

    def _validate_step(self, batch: Batch, pixels: OnDevice, size: Size) -> None:
        batch = self.pipeline.to_validate(batch, pixels)
        outputs = tf.nest.flatten(self.model(batch.images, training=False))[0]
        self._totals.add(self._objective.losses(batch.labels, outputs), batch.labels, outputs)

    def _compute_gradients(self, batch: Batch) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
        """(loss of each image, gradients of this shard's part of the loss, outputs)."""
        with tf.GradientTape() as tape:
            outputs, *kinds = tf.nest.flatten(self.model(batch.images, training=True))
            # Images of no cell have no label.
            outputs = outputs[: tf.shape(batch.labels)[0]]
            losses = self._objective.losses(batch.labels, outputs)
            loss = tf.reduce_sum(losses) / tf.cast(batch.size, losses.dtype)
            # A network may penalize large weights; each device does so by its share.
            penalty = tf.add_n(self.model.losses) if self.model.losses else 0.0
            if kinds:
                penalty += WEIGHT * tf.reduce_mean(kind_losses(batch.kinds, *kinds))
            loss += penalty / self.strategy.num_replicas_in_sync
            loss = self.model.optimizer.scale_loss(loss)
        return losses, tape.gradient(loss, self.model.trainable_variables), outputs


class _Totals:
    """Sums over images, on each device its own, added up where they are read."""

    def __init__(self, objective: Objective) -> None:
        self._is_right = objective.is_right
        # Of the losses, of the correct answers, and of all images.
        self._sums = tf.Variable(
            tf.zeros(3),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )

    def reset(self) -> None:
        self._sums.assign(tf.zeros(3))

    def add(self, losses: tf.Tensor, labels: tf.Tensor, outputs: tf.Tensor) -> None:
        correct = tf.cast(self._is_right(labels, outputs), tf.float32)
        count = tf.cast(tf.size(losses), tf.float32)
        self._sums.assign_add(tf.stack([tf.reduce_sum(losses), tf.reduce_sum(correct), count]))

    def means(self) -> tuple[float, float]:
        loss, correct, count = self._sums.read_value().numpy().tolist()
        return loss / count, correct / count


@dataclass
class StepsPerExecution:
    """How many steps go into one execution, so that it takes about EXECUTION_SECONDS."""

    steps: int = 1
    wanted: int = 1
    executions: int = 0

    def adapt(self, steps: int, seconds: float) -> None:
        """Adapt to the seconds that one execution of `steps` has taken."""
        self.executions += 1
        # The first one builds the graph.
        if self.executions > 1:
            fitting = int(EXECUTION_SECONDS * steps / max(seconds, 1e-6))
            self.wanted = max(1, min(fitting, 2 * self.steps, MOST_STEPS))
