"""Tests of malaria/networks/save.py, load_model.py, weight_files.py and weights.py."""

import functools
import json
import os
import resource
import shutil
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.data.dataset import LABELS
from malaria.networks.backend import keras
from malaria.networks.blocks import output
from malaria.networks.load_model import cost_of, load_model
from malaria.networks.save import save_pair
from malaria.networks.vocabulary import LAYERS
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import KEY, Metadata, read_metadata
from malaria.saved.pair import Pair, find_pair, read_architecture
from malaria.training.devices import computing_in

GOLDEN = Path(__file__).parent / "keras2"
SIZE = (20, 20, 3)
IMAGES = np.random.default_rng(7).random((4, *SIZE), dtype=np.float32)
ENTRIES = Metadata(LABELS, "Parasitized", PixelFormat((20, 20))).to_entries()
layers = keras.layers


def sequential(seed=1, units=8):
    keras.utils.set_random_seed(seed)
    hidden = [
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        *(layers.MaxPooling2D(name="pool"), layers.Flatten(name="flatten")),
        layers.Dropout(0.5, name="dropout"),
        layers.Dense(units, activation="relu", kernel_regularizer="l2", name="dense"),
    ]
    return keras.Sequential([keras.Input(SIZE, name="image"), *hidden, output(2)], name="small")


def functional():
    keras.utils.set_random_seed(2)
    image = keras.Input(SIZE)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(layers.Rescaling(2.0, -1.0)(image))
    y = layers.BatchNormalization(epsilon=1e-5, gamma_initializer="zeros")(x)
    x = layers.ReLU()(layers.Add()([x, y]))
    pools = layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(3, activation="softmax")(layers.Concatenate()(pools)))
    random = np.random.default_rng(3)
    model.set_weights([random.uniform(0.1, 0.9, one.shape) for one in model.weights])
    return model


def predict(model):
    return model(IMAGES).numpy()


def load(pair):
    architecture = read_architecture(pair)
    read_metadata(pair, architecture)
    return load_model(pair, architecture)


def changed(pair, change):
    architecture = read_architecture(pair)
    change(architecture["config"]["layers"], architecture)
    return architecture


def refuse(pair, architecture, message):
    with pytest.raises(UserError, match=message) as caught:
        load_model(pair, architecture)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    assert pair.weights.stem in str(caught.value)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_pair(sequential(), tmp_path_factory.mktemp("models"), "model", ENTRIES)


@pytest.fixture
def pair(saved, tmp_path):
    for path in (saved.weights, saved.architecture):
        shutil.copy(path, tmp_path)
    return find_pair(tmp_path)


@pytest.mark.parametrize("build", [sequential, functional])
def test_a_saved_pair_loads_back_with_the_same_predictions(tmp_path, build, capfd, caplog):
    model = build()
    pair = save_pair(model, tmp_path / "new" / "folder", "model_1.0_0.5", ENTRIES)
    loaded = load(pair)
    assert np.array_equal(predict(loaded), predict(model))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    names = [f"model_1.0_0.5.{kind}" for kind in ("h5", "json", "tflite")]
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == names
    assert (*capfd.readouterr(), caplog.messages) == ("", "", [])


def test_the_json_holds_keras_own_keys_the_metadata_and_both_checksums(saved):
    architecture = read_architecture(saved)
    kinds = ("weights", "tflite")
    recorded = {f"{kind}_sha256": sha256_of(getattr(saved, kind)) for kind in kinds}
    assert architecture.pop(KEY) == ENTRIES | recorded
    expected = json.loads(sequential().to_json())
    assert architecture == {key: expected[key] for key in expected if key != "compile_config"}
    keras.models.model_from_json(saved.architecture.read_text(encoding="utf-8"))


def test_what_json_has_no_word_for_becomes_null(tmp_path):
    entries = {**ENTRIES, "notes": {"µ": [float("nan"), (1.5, -float("inf"))], "ü\udcff": 1}}
    pair = save_pair(sequential(), tmp_path, "model", entries)
    text = pair.architecture.read_text(encoding="utf-8")
    assert json.loads(text)[KEY]["notes"] == {"µ": [None, [1.5, None]], "ü\udcff": 1}
    assert "NaN" not in text
    assert "µ" in text


def test_a_network_of_half_precision_loads_as_float32_without_loss_and_optimizer(tmp_path):
    with computing_in("float16"):
        model = sequential()
    model.compile("adam", loss="binary_crossentropy")
    pair = save_pair(model, tmp_path, "model", ENTRIES)
    assert "compile_config" not in read_architecture(pair)
    loaded = load(pair)
    assert not loaded.compiled
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    assert predict(loaded).dtype == np.float32
    np.testing.assert_allclose(predict(loaded), predict(model), atol=5e-3)


def test_keras_2_reads_the_weights_that_were_saved(saved):
    tf_keras = pytest.importorskip("tf_keras", reason="Keras 2 itself is only here for tests")
    layers = tf_keras.layers
    hidden = [layers.MaxPooling2D(), layers.Flatten(), layers.Dense(8), layers.Dense(1)]
    theirs = tf_keras.Sequential([layers.Conv2D(4, 3, input_shape=SIZE), *hidden])
    theirs.load_weights(saved.weights)
    for ours, read in zip(load(saved).get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(ours, read)


@pytest.mark.parametrize("half", [".h5", ".json"])
def test_a_pair_is_never_overwritten(tmp_path, half):
    (tmp_path / f"model{half}").write_text("here before")
    with pytest.raises(UserError, match=f"model{half} exists already"):
        save_pair(sequential(), tmp_path, "model", ENTRIES)
    assert (tmp_path / f"model{half}").read_text() == "here before"
    assert os.listdir(tmp_path) == [f"model{half}"]


@pytest.mark.parametrize("limit", [0, 12_000, 1_000_000])
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, limit):
    model = sequential()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot save .*model.h5: File too large"):
            save_pair(model, tmp_path, "model", ENTRIES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []


def test_a_json_that_cannot_get_its_name_takes_the_h5_with_it(tmp_path, monkeypatch):
    rename = os.replace

    def fail_at_the_json(source, target):
        if str(target).endswith(".json"):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_json)
    with pytest.raises(UserError, match=r"cannot save .*model.h5: Permission denied"):
        save_pair(sequential(), tmp_path, "model", ENTRIES)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "models").touch()
    with pytest.raises(UserError, match=r"cannot save .*models/model.h5: File exists"):
        save_pair(sequential(), tmp_path / "models", "model", ENTRIES)


def keras_object(class_name, module="keras.layers", config=None, **more):
    return {"module": module, "class_name": class_name, "config": config or {}, **more}


LAMBDA = keras_object("Lambda", config={"name": "x", "function": keras_object("__lambda__")})
FUNCTION = keras_object("function", module="builtins", config="my_activation")


def insert(class_name, **more):
    return lambda layers, _: layers.insert(2, keras_object(class_name, **more))


def setting(place, **settings):
    return lambda layers, _: layers[place]["config"].update(settings)


HOSTILE = {
    "a Lambda": lambda layers, _: layers.insert(2, LAMBDA),
    "an operation": insert("TFOpLambda"),
    "an unknown class": insert("Transmogrify"),
    "a class of odd text": insert("\x1b[2J\n" * 99),
    "a class that is a list": insert(["Dense"]),
    "a custom class": lambda layers, _: layers[1].update(registered_name="mine>Conv2D"),
    "another module": lambda layers, _: layers[1].update(module="os"),
    "a module of Keras": lambda layers, _: layers[1].update(module="keras.src.utils.file_utils"),
    "a wrapper": insert("TimeDistributed", config={"layer": LAMBDA}),
    "as an activation": setting(1, activation=LAMBDA),
    "a function": setting(1, activation=FUNCTION),
    "an unknown activation": setting(1, activation="eval"),
    "a network in a network": insert("Sequential", config={"name": "inner", "layers": [LAMBDA]}),
    "no network": lambda _, architecture: architecture.update(class_name="Lambda"),
    "no class": lambda _, architecture: architecture.pop("class_name"),
    "no layers": lambda _, architecture: architecture.update(config=None),
    "channels first": setting(1, data_format="channels_first"),
    "a layer used twice": lambda layers, _: layers[1].update(inbound_nodes=[1, 2]),
}


@pytest.mark.parametrize("form", ["form_2019", "form_tf2", "keras 3"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_json_with_more_than_plain_layers_is_refused_and_none_of_these_is_built(
    saved, kind, form, built
):
    pair = saved if form == "keras 3" else find_pair(GOLDEN / f"{form}.h5")
    refuse(pair, changed(pair, HOSTILE[kind]), "json: ")
    assert built <= {*LAYERS, "InputLayer", "Sequential", "Functional"}


@pytest.fixture
def built(monkeypatch):
    """The classes of the layers that have been made."""
    classes, begin = set(), keras.layers.Layer.__init__

    def note(self, *arguments, **options):
        classes.add(type(self).__name__)
        begin(self, *arguments, **options)

    monkeypatch.setattr(keras.layers.Layer, "__init__", note)
    return classes


def test_what_matters_only_for_training_is_not_read(saved, built):
    def change(layers, _):
        layers[1]["config"]["kernel_initializer"] = LAMBDA
        layers[1]["config"]["kernel_regularizer"] = keras_object("L2", config={"l2": [LAMBDA]})

    loaded = load_model(saved, changed(saved, change))
    assert built & {"Conv2D", "Lambda"} == {"Conv2D"}
    assert np.array_equal(predict(loaded), predict(load(saved)))


CANNOT = "that Keras can build, received: "


def nested(depth):
    return functools.reduce(lambda value, _: [value], range(depth), [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting(1, deep=nested(200)), "the setting 'deep' of"),
        (setting(1, strides=nested(5000)), CANNOT),
        (lambda layers, _: layers.extend(layers[3:4] * 2000), "expected at most 2000 layers"),
        (setting(-1, units=-3), f"{CANNOT}.*(units|Negative dimensions)"),
        (setting(-1, units="x"), CANNOT),
        (lambda layers, _: layers[1]["config"].pop("filters"), CANNOT),
        (lambda layers, _: layers.clear(), CANNOT),
        (lambda layers, _: layers.insert(0, 3), CANNOT),
        (setting(-2, name="\x1b[2J\n"), r"weights of the layer '\.\.2J\._91a94b47', received none"),
        (lambda layers, _: layers.pop(), "received weights of 'probability', a layer the network"),
    ],
)
def test_a_network_that_cannot_be_is_refused_in_one_line(saved, change, message):
    refuse(saved, changed(saved, change), message)


@pytest.mark.parametrize(
    "shape", [[None, 20, 20, 1], [None, None, None, 3], [8, 20, 20, 3], [None, 1200]]
)
def test_a_network_that_takes_no_images_is_refused(saved, shape):
    def change(layers, _):
        layers[0]["config"]["batch_shape"] = shape
        del layers[1:5]

    refuse(saved, changed(saved, change), r"expected one input \(None, height, width, 3 or 1\)")


HUGE = [None, 10**6, 10**6, 3]
GIANTS = {
    "units": setting(-2, units=10**9),
    "filters": setting(1, filters=10**9),
    "digits": setting(1, filters=10**3000),
    "images": setting(0, batch_shape=HUGE, batch_input_shape=HUGE),
}


@pytest.mark.parametrize("form", ["form_tf2", "keras 3"])
@pytest.mark.parametrize("kind", GIANTS)
def test_a_giant_is_refused_and_its_memory_is_never_asked_for(saved, form, kind):
    pair = saved if form == "keras 3" else find_pair(GOLDEN / f"{form}.h5")
    kernels = keras.initializers.VarianceScaling
    counted = {"autospec": True, "side_effect": kernels.__call__}
    with mock.patch.object(kernels, "__call__", **counted) as allocate:
        load_model(pair, read_architecture(pair))
        count = allocate.call_count
        assert count > 0
        too_many = "more weights than the [0-9,]+ bytes of that file can hold"
        refuse(pair, changed(pair, GIANTS[kind]), too_many)
        # Here Keras allocates, in this thread, every variable that still waits for it.
        with keras.StatelessScope():
            pass
        assert allocate.call_count == count


@pytest.mark.parametrize(("side", "unit"), [(10_000, "1,073,741,824 bytes"), (6, "99 multi")])
def test_a_network_too_large_for_one_image_is_refused(saved, side, unit, monkeypatch):
    def change(layers, _):
        layers[0]["config"]["batch_shape"] = [None, side, side, 3]
        layers[3:] = [keras_object("GlobalMaxPooling2D", config={"name": "top"})]

    monkeypatch.setattr("malaria.networks.load_model.MAX_MULTIPLICATIONS", 99)
    refuse(saved, changed(saved, change), f"more than the {unit}[a-z]* allowed for one image; use")


def test_cost_counts_every_weight_at_every_place_and_every_pixel_of_a_window():
    body = [layers.Conv2D(4, 3, use_bias=False), layers.MaxPooling2D(2)]
    inner = keras.Sequential([keras.Input((8, 8, 3)), *body])
    # A convolution of 8 x 8 x 3 to 6 x 6 x 4, then windows of 2 x 2.
    outputs, multiplications = 36 * 4 + 9 * 4, 36 * 4 * 27 + 36 * 4 + 9 * 4 * 4
    assert cost_of(inner) == (outputs, multiplications)
    outer = keras.Sequential([keras.Input((8, 8, 3)), inner, layers.Flatten()])
    assert cost_of(outer) == (outputs + 36, multiplications + 36)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"not HDF5 at all\n" * 99, "signature not found"),
        (lambda content: content[:9000], "truncated file"),
        (lambda content: b"", "expected the weights that train.py or Keras wrote"),
    ],
    ids=["text", "truncated", "empty"],
)
def test_a_damaged_h5_is_refused_in_one_line(pair, damage, message):
    architecture = read_architecture(pair)
    pair.weights.write_bytes(damage(pair.weights.read_bytes()))
    refuse(pair, architecture, message)
    with pytest.raises(UserError, match=r"model.h5 does not belong to model.json, or is damaged"):
        read_metadata(pair, architecture)


KERNEL = "model_weights/dense/small/dense/kernel"


def link(target):
    return lambda file, _: file["model_weights/conv"].update(link=target)


def instead(store):
    """A change that takes the kernel out, and calls store(file, its values)."""

    def change(file, values):
        del file[KERNEL]
        store(file, values)

    return change


def store(replacement):
    return instead(lambda file, values: file.create_dataset(KERNEL, data=replacement(values)))


@instead
def store_away(file, values):
    raw = f"{file.filename}.raw"
    Path(raw).write_bytes(values.tobytes())
    external = [(raw, 0, values.nbytes)]
    file.create_dataset(KERNEL, values.shape, values.dtype, external=external)


@instead
def store_virtually(file, values):
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource("other.h5", "x", values.shape)
    file.create_virtual_dataset(KERNEL, layout)


@instead
def store_a_bomb(file, _):
    file.create_dataset(KERNEL, (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")


def drop_the_bias(file, _):
    file["model_weights/dense"].attrs["weight_names"] = [b"small/dense/kernel"]


def rename_a_layer(file, _):
    file.move("model_weights/dense", "model_weights/sparse")
    file["model_weights"].attrs["layer_names"] = [b"conv", b"sparse", b"probability"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (link(h5py.ExternalLink("/etc/passwd", "/")), "'model_weights/conv/link' is a link"),
        (link(h5py.SoftLink("/model_weights")), "'model_weights/conv/link' is a link"),
        *(
            (change, "dense/kernel' are in another file")
            for change in (store_away, store_virtually)
        ),
        (store(lambda values: values[:-1]), r"dense/kernel.: expected \(324, 8\) of floats"),
        (store(lambda values: values.astype("i4")), "received .* of .int32"),
        (store(lambda values: np.full(values.shape, "x", "S1")), "received .* of .|S1"),
        *(
            (store(lambda values, factor=factor: values.astype("f8") * factor), "not finite")
            for factor in (1e300, np.nan, np.inf)
        ),
        (store_a_bomb, r"its weights would take 4,000,000"),
        (lambda file, _: file.pop("model_weights/dense"), "cannot read .* no "),
        (drop_the_bias, "the layer .dense.: expected 2 weights, received 1"),
        (rename_a_layer, "expected weights of the layer 'dense', received none"),
        (instead(lambda file, _: file.create_group(KERNEL)), "cannot read"),
        (lambda file, _: file.clear(), "expected the weights that train.py or Keras wrote"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_an_h5_that_does_not_fit_its_json_is_refused_in_one_line(pair, change, message):
    with h5py.File(pair.weights, "r+") as file:
        change(file, file[KERNEL][()])
    refuse(pair, read_architecture(pair), message)


def test_half_precision_and_compressed_weights_are_read(pair):
    expected = predict(load(pair))
    with h5py.File(pair.weights, "r+") as file:
        values = file[KERNEL][()].astype("f2")
        del file[KERNEL]
        file.create_dataset(KERNEL, data=values, compression="gzip")
    received = load_model(pair, read_architecture(pair))
    np.testing.assert_allclose(predict(received), expected, atol=1e-3)


@pytest.mark.parametrize("units", [8, 9])
def test_halves_of_two_pairs_do_not_load(saved, tmp_path, units):
    other = save_pair(sequential(seed=5, units=units), tmp_path, "other", ENTRIES)
    historic = GOLDEN / "form_2019.h5", GOLDEN / "form_tf2.json"
    for weights, architecture in ((other.weights, saved.architecture), historic):
        message = f"{weights.name} does not belong to {architecture.name}"
        with pytest.raises(UserError, match=message):
            load(Pair(weights, architecture, tmp_path / "none"))
