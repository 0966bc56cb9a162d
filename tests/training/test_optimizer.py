"""Adam with the learning rates of each schedule."""

import numpy as np
import pytest
from learning import feed_of

from malaria.model import build_model
from malaria.networks.backend import keras, tf
from malaria.training.checkpoint import Progress
from malaria.training.loop import compile_model, run_epochs
from malaria.training.losses import make_losses
from malaria.training.optimizer import find_head, group_of, make_optimizer
from malaria.training.step import Learner

IMAGES = np.random.default_rng(0).random((8, 32, 32, 3), np.float32)
LABELS = np.float32([[0], [1]] * 4)


def compiled(name="compact", schedule="constant", **settings):
    keras.utils.set_random_seed(1)
    model = build_model(name, image_size=(32, 32), label_count=2)
    settings = {"learning_rate": 1e-2, "total_steps": 12, "steps_per_epoch": 4} | settings
    optimizer = make_optimizer(schedule, **settings, head=find_head(model))
    compile_model(model, optimizer)
    return model


def stepper(model, images=IMAGES):
    """A function that takes one step on the same batch."""
    pictures = (images * 255).astype(np.uint8)
    strategy = tf.distribute.get_strategy()
    feed = feed_of(pictures, LABELS.ravel(), strategy, batch_size=len(images))
    learner = Learner(model, strategy)
    return lambda: learner.train(feed.train(0), lambda steps: None)


def weights_of(model):
    return {variable.path: variable.numpy() for variable in model.trainable_variables}


def changes(model, take_step, steps):
    """{path: largest change} of the trainable weights over some steps."""
    before = weights_of(model)
    for _ in range(steps):
        take_step()
    return {path: np.abs(array - before[path]).max() for path, array in weights_of(model).items()}


def test_weight_decay_takes_from_kernels_and_from_nothing_else():
    model = compiled(weight_decay=0.5)
    before = weights_of(model)
    gradients = [tf.zeros(variable.shape) for variable in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    for path, array in weights_of(model).items():
        kept = 1 - 0.5 * 1e-2 if path.endswith("kernel") else 1
        np.testing.assert_allclose(array, kept * before[path], rtol=1e-5, err_msg=path)


def test_the_average_of_the_weights_is_kept_and_training_goes_on_from_the_weights():
    strategy = tf.distribute.get_strategy()
    feed = feed_of((IMAGES * 255).astype(np.uint8), LABELS.ravel(), strategy, batch_size=8)

    def run(epochs, average):
        model, progress = compiled(ema_decay=average), Progress()
        unaveraged = []
        run_epochs(
            Learner(model, strategy),
            feed,
            progress,
            epochs=epochs,
            patience=None,
            after_epoch=lambda progress: unaveraged.append(weights_of(model)),
            keep="last",
        )
        return weights_of(model), unaveraged

    plain, steps = run(3, average=0)
    averaged, same_steps = run(3, average=0.5)
    name = "stage4_conv/kernel"
    for one, other in zip(steps, same_steps, strict=True):
        np.testing.assert_allclose(one[name], other[name], atol=1e-6)
    expected = steps[0][name]
    for step in steps[1:]:
        expected = 0.5 * expected + 0.5 * step[name]
    np.testing.assert_allclose(averaged[name], expected, atol=1e-5)
    assert np.abs(averaged[name] - plain[name]).max() > 1e-3


def test_label_smoothing_is_part_of_the_loss():
    for label_count, labels in ((2, LABELS), (3, np.int32([0, 1, 2, 0, 1, 2, 0, 1]))):
        losses = []
        for smoothing in (0.0, 0.2):
            keras.utils.set_random_seed(1)
            model = build_model("compact", image_size=(32, 32), label_count=label_count)
            outputs = model.predict_on_batch(IMAGES)
            of_each = make_losses(outputs.shape[1], smoothing)(tf.constant(labels), outputs)
            assert of_each.shape == (8,)
            losses.append(np.mean(of_each))
            outputs = outputs.astype(np.float64)
        shares = np.concatenate([1 - outputs, outputs], 1) if label_count == 2 else outputs
        true = -np.log(shares[np.arange(8), labels.ravel().astype(int)]).mean()
        each = -np.log(shares).mean()
        assert losses[0] == pytest.approx(true, rel=1e-4)
        assert losses[1] == pytest.approx(0.8 * true + 0.2 * each, rel=1e-4)


def test_fine_tune_first_keeps_the_body_but_for_its_norm_then_moves_the_stem_least():
    model = compiled("xresnet34", "fine_tune", learning_rate=2e-3)
    # Building this network's step takes ten times as long as all else here.
    take_step = stepper(model)
    for path, change in changes(model, take_step, 4).items():
        if group_of(path, find_head(model)) != 2 and "_norm" not in path:
            assert change == 0, path
        # A block's gamma of zero keeps what is before it from learning at the very first.
        elif "_a_norm" not in path:
            assert change > 0, path
    model.optimizer.iterations.assign(5)
    moved = changes(model, take_step, 1)
    stem, body = moved["stem1/kernel"], moved["stage4_block1_shortcut/kernel"]
    head = moved["probability/kernel"]
    assert 0 < stem < body / 2
    assert body < head / 2


def rates(optimizer, variable, steps):
    for step in steps:
        optimizer.iterations.assign(step)
        yield float(optimizer.learning_rate * optimizer._share(variable)), float(optimizer.beta_1)


def test_the_rates_and_momenta_of_fine_tune_are_fastais():
    model = compiled(
        "xresnet34", "fine_tune", learning_rate=2e-3, total_steps=600, steps_per_epoch=100
    )
    variables = {variable.path: variable for variable in model.trainable_variables}

    def at(path, *steps):
        return [rate for rate, _ in rates(model.optimizer, variables[path], steps)]

    # 100 frozen steps with the peak near their end, then 500 with the peak after 30 %.
    assert at("probability/kernel", 0, 99) == pytest.approx([2e-3 / 25, 2e-3], rel=1e-3)
    assert at("probability/kernel", 100, 250) == pytest.approx([1e-3 / 5, 1e-3], rel=1e-3)
    assert at("stage4_block1_a/kernel", 0, 99, 250) == pytest.approx([0, 0, 1e-4], rel=1e-3)
    assert at("stem1/kernel", 0, 99, 250) == pytest.approx([0, 0, 1e-5], rel=1e-3)
    assert at("stem1_norm/gamma", 99) == pytest.approx([2e-4], rel=1e-3)
    assert at("probability/kernel", 599)[0] < 1e-7
    momenta = [beta for _ in [0] for _, beta in rates(model.optimizer, variables["stem1/kernel"],
                                                      [100, 250, 599])]  # fmt: skip
    assert momenta == pytest.approx([0.95, 0.85, 0.95], abs=1e-3)
    assert (model.optimizer.beta_2, model.optimizer.epsilon) == (0.99, 1e-5)


def test_fine_tune_decays_as_slowly_as_it_learns():
    model = compiled("xresnet34", "fine_tune", learning_rate=2e-3, weight_decay=0.5)
    model.optimizer.iterations.assign(5)
    before = weights_of(model)
    share = float(model.optimizer._share(model.trainable_variables[0]))
    gradients = [tf.zeros(variable.shape) for variable in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    after = weights_of(model)
    kept = 1 - 0.5 * 2e-3 * share
    np.testing.assert_allclose(after["stem1/kernel"], kept * before["stem1/kernel"], rtol=1e-6)
    np.testing.assert_array_equal(after["stem1_norm/gamma"], before["stem1_norm/gamma"])


@pytest.mark.parametrize("name", ["vgg", "compact", "keras_cnn", "xresnet34"])
def test_the_head_of_a_network_is_what_follows_its_convolutions(name):
    model = build_model(name, image_size=(48, 48), label_count=2)
    body = ("stem", "stage", "block", "conv")
    layers = {layer.name for layer in model.layers if layer.weights}
    assert find_head(model) == {name for name in layers if not name.startswith(body)}


@pytest.mark.parametrize("name", ["compact", "vgg"])
def test_any_network_is_fine_tuned_head_first(name):
    keras.utils.set_random_seed(1)
    model = build_model(name, image_size=(48, 48), label_count=2)
    known = {"learning_rate": 1e-3, "total_steps": 12, "steps_per_epoch": 4}
    head = find_head(model)
    compile_model(model, make_optimizer("fine_tune", **known, head=head))
    images = np.random.default_rng(0).random((8, 48, 48, 3), np.float32)

    take_step = stepper(model, images)

    def changed():
        before = weights_of(model)
        take_step()
        return {path for path, array in weights_of(model).items() if (array != before[path]).any()}

    frozen = [changed() for _ in range(4)]
    for paths in frozen:
        assert all(path.split("/")[0] in head or "_norm" in path for path in paths)
    assert any("conv" in path and "_norm" not in path for path in changed() | changed())
