"""Adam with the learning rates of each schedule."""

import numpy as np
import pytest
from learning import pipeline_of, pixels_of

from malaria.model import build_model
from malaria.networks.backend import keras, tf
from malaria.training.batches import encode_labels
from malaria.training.checkpoint import Progress
from malaria.training.loop import compile_model, run_epochs
from malaria.training.losses import make_losses
from malaria.training.optimizer import find_head, find_stem, group_of, make_optimizer
from malaria.training.step import Learner

IMAGES = np.random.default_rng(0).random((8, 32, 32, 3), np.float32)


def compiled(name="tiny", schedule="constant", side=32, **settings):
    keras.utils.set_random_seed(1)
    model = build_model(name, image_size=(side, side), label_count=2)
    settings = {"learning_rate": 1e-2, "total_steps": 12, "steps_per_epoch": 4} | settings
    optimizer = make_optimizer(schedule, **settings, head=find_head(model), stem=find_stem(model))
    compile_model(model, optimizer)
    return model


def learner_of(model, images=IMAGES):
    """What takes one step on all images in an epoch."""
    pixels = pixels_of((images * 255).astype(np.uint8), [0, 1] * 4)
    return Learner(model, pipeline_of(pixels, batch_size=len(images)))


def weights_of(model):
    return {variable.path: variable.numpy() for variable in model.trainable_variables}


def step_with(model, gradient):
    """The weights before and after one step, the gradient of each being this number."""
    before = weights_of(model)
    gradients = [tf.fill(variable.shape, gradient) for variable in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    return before, weights_of(model)


def test_weight_decay_takes_from_kernels_and_from_nothing_else():
    model = compiled(weight_decay=0.5)
    before, after = step_with(model, 0.0)
    for path, array in after.items():
        kept = 1 - 0.5 * 1e-2 if path.endswith("kernel") else 1
        np.testing.assert_allclose(array, kept * before[path], rtol=1e-5, err_msg=path)


def test_the_average_of_the_weights_is_kept_and_training_goes_on_from_the_weights():
    def run(average):
        model, unaveraged = compiled(ema_decay=average), []

        def after(progress):
            unaveraged.append(weights_of(model))

        known = {"epochs": 3, "patience": None, "keep": "last", "after_epoch": after}
        run_epochs(learner_of(model), Progress(), **known)
        return weights_of(model), unaveraged

    plain, steps = run(average=0)
    averaged, same_steps = run(average=0.5)
    name = "conv/kernel"
    for one, other in zip(steps, same_steps, strict=True):
        np.testing.assert_allclose(one[name], other[name], atol=1e-6)
    expected = steps[0][name]
    for step in steps[1:]:
        expected = 0.5 * expected + 0.5 * step[name]
    np.testing.assert_allclose(averaged[name], expected, atol=1e-5)
    assert np.abs(averaged[name] - plain[name]).max() > 1e-3


@pytest.mark.parametrize("label_count", [2, 3])
def test_label_smoothing_is_part_of_the_loss(label_count):
    labels = np.arange(8) % label_count
    shares = np.random.default_rng(1).dirichlet([1] * label_count, size=8).astype(np.float32)
    outputs = shares[:, 1:] if label_count == 2 else shares
    known = tf.constant(encode_labels(labels, label_count=label_count)), tf.constant(outputs)
    plain, smoothed = (make_losses(outputs.shape[1], one)(*known) for one in (0.0, 0.2))
    each = -np.log(shares)
    true = each[np.arange(8), labels]
    np.testing.assert_allclose(plain, true, rtol=1e-4)
    np.testing.assert_allclose(smoothed, 0.8 * true + 0.2 * each.mean(axis=1), rtol=1e-4)


def test_the_rates_and_momenta_of_fine_tune_are_fastais():
    known = {"learning_rate": 2e-3, "total_steps": 600, "steps_per_epoch": 100}
    optimizer = make_optimizer(
        "fine_tune", **known, head={"probability"}, stem={"stem1", "stem1_norm"}
    )

    def at(path, *steps):
        rates = []
        for step in steps:
            optimizer.iterations.assign(step)
            rates.append(float(optimizer.learning_rate * optimizer.rate_share(path)))
        return rates

    # 100 frozen steps with the peak near their end, then 500 with the peak after 30 %.
    assert at("probability/kernel", 0, 99) == pytest.approx([2e-3 / 25, 2e-3], rel=1e-3)
    assert at("probability/kernel", 100, 250) == pytest.approx([1e-3 / 5, 1e-3], rel=1e-3)
    assert at("stage4_block1_a/kernel", 0, 99, 250) == pytest.approx([0, 0, 1e-4], rel=1e-3)
    assert at("stem1/kernel", 0, 99, 250) == pytest.approx([0, 0, 1e-5], rel=1e-3)
    assert at("stem1_norm/gamma", 99) == pytest.approx([2e-4], rel=1e-3)
    assert at("probability/kernel", 599)[0] < 1e-7
    momenta = []
    for step in (100, 250, 599):
        optimizer.iterations.assign(step)
        momenta.append(float(optimizer.beta_1))
    assert momenta == pytest.approx([0.95, 0.85, 0.95], abs=1e-3)
    assert (optimizer.beta_2, optimizer.epsilon) == (0.99, 1e-5)


def test_fine_tune_decays_as_slowly_as_it_learns():
    model = compiled("xresnet34", "fine_tune", learning_rate=2e-3, weight_decay=0.5)
    model.optimizer.iterations.assign(5)
    share = float(model.optimizer.learning_rate * model.optimizer.rate_share("stem1/kernel"))
    before, after = step_with(model, 0.0)
    kept = 1 - 0.5 * share
    np.testing.assert_allclose(after["stem1/kernel"], kept * before["stem1/kernel"], rtol=1e-6)
    np.testing.assert_array_equal(after["stem1_norm/gamma"], before["stem1_norm/gamma"])


def test_a_step_of_fine_tune_is_adams_at_the_rate_of_each_group():
    model = compiled("xresnet34", "fine_tune", learning_rate=2e-3)
    plain = compiled("xresnet34", "constant", learning_rate=1.0)
    plain.optimizer.beta_1, plain.optimizer.beta_2, plain.optimizer.epsilon = 0.95, 0.99, 1e-5
    before, after = step_with(model, 1.0)
    full = {path: array - before[path] for path, array in step_with(plain, 1.0)[1].items()}
    for path, array in after.items():
        group = group_of(path, find_head(model), find_stem(model))
        share = 1.0 if group == 2 else 0.1 if "_norm" in path else 0.0
        expected = full[path] * share * 2e-3 / 25
        np.testing.assert_allclose(array - before[path], expected, atol=1e-7, err_msg=path)


@pytest.mark.parametrize("name", ["vgg", "compact", "keras_cnn", "xresnet34", "efficientnet_lite0"])
def test_the_head_of_a_network_is_what_follows_its_convolutions(name):
    model = build_model(name, image_size=(48, 48), label_count=2)
    body = ("stem", "stage", "block", "conv")
    layers = {layer.name for layer in model.layers if layer.weights}
    assert find_head(model) == {name for name in layers if not name.startswith(body)}


@pytest.mark.parametrize("name", ["tiny", "vgg"])
def test_any_network_is_fine_tuned_head_first_and_its_stem_and_body_slower(name):
    model = compiled(name, "fine_tune", side=48, learning_rate=1e-3)
    head, stem = find_head(model), find_stem(model)
    learner = learner_of(model, np.random.default_rng(0).random((8, 48, 48, 3), np.float32))

    def changes():
        """{path: largest change} of a step."""
        before = weights_of(model)
        learner.train(learner.pipeline.train(0), lambda steps: None)
        after = weights_of(model).items()
        return {path: np.abs(array - before[path]).max() for path, array in after}

    for path, change in [pair for _ in range(4) for pair in changes().items()]:
        is_frozen = group_of(path, head, stem) != 2 and "_norm" not in path
        assert change == 0 if is_frozen else change >= 0, path
    model.optimizer.iterations.assign(5)
    thawed = changes()
    body, top = (
        max(change for path, change in thawed.items() if group_of(path, head, stem) == group)
        for group in (1, 2)
    )
    assert 0 < body < top
