"""Models of other programs: golden files of each kind, networks of each shape, and refusals."""

import functools
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from plain_network import PlainNetwork

from malaria.base.errors import UsageError, UserError
from malaria.cli.choose import save_as_pair
from malaria.cli.run import main
from malaria.inference.load_classifier import load_classifier
from malaria.networks.backend import keras, tf
from malaria.networks.export import to_tflite
from malaria.networks.load_model import load_model
from malaria.networks.weight_files import stored_bytes
from malaria.saved.pair import find_pair, read_architecture

# Keras itself, as it saves, is not ready for numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
HERE = Path(__file__).parent / "foreign"
EXPECTED = json.loads((HERE / "expected.json").read_text())
GOLDEN = [f"keras2{end}" for end in ("_whole.h5", ".keras", "_saved_model")]
GOLDEN += [f"keras3{end}" for end in ("_whole.h5", ".keras", "_weights.weights.h5")]
GOLDEN += ["keras3_weights.json", "lone.tflite"]
IMAGES = np.random.RandomState(5).randint(0, 256, (4, 16, 16, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("engine", ["keras", "litert"])
@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_file_answers_as_the_program_that_wrote_it(tmp_path, name, engine, capsys):
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py"))
    before = sorted(path.name for path in tmp_path.iterdir())
    scale = {"scale": "1"} if name == "lone.tflite" else {}
    model = load_classifier(tmp_path / name, engine=engine, **scale)
    found = model.predict(IMAGES)[:, 1]
    np.testing.assert_allclose(found, EXPECTED["keras2" if "2" in name else "keras3"], atol=1e-5)
    said = capsys.readouterr().err
    assert said.startswith("assumed, for the model does not say it: labels Parasitized, Uninfected")
    # The size is in the file, and whether it rescales.
    is_pair = name.startswith("keras3_weights")
    assert ("channels BGR, resampling bicubic; " if is_pair else "RGB, resampling linear; ") in said
    # Beside a file of another program nothing is written.
    assert sorted({path.name for path in tmp_path.iterdir()} - {"cache"}) == before


def transfer(library):
    """Blocks of MobileNetV2, frozen, with the arithmetic that its preprocessing leaves."""
    layers = library.layers
    whole = library.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35
    )
    base = library.Model(whole.input, whole.get_layer("block_2_add").output)
    base.trainable = False
    start = library.Input((32, 32, 3))
    maps = base(start / 127.5 - 1.0, training=False)
    pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(maps))
    return library.Model(start, layers.Dense(3, activation="softmax")(pooled))


def nested(library):
    """Augmentation in a Sequential of its own, a whole network as a layer, and logits."""
    layers = library.layers
    augmentation = library.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])
    body = library.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D()])
    model = library.Sequential([augmentation, body, layers.Flatten(), layers.Dense(1)])
    model.build((None, 32, 32, 3))
    return model


def normalised(library):
    """As EfficientNet begins: Rescaling, Normalization, padding, depthwise, swish, squeeze."""
    layers = library.layers
    start = library.Input((32, 32, 3))
    maps = layers.Normalization(axis=-1)(layers.Rescaling(1 / 255)(start))
    maps = layers.ZeroPadding2D(((0, 1), (0, 1)))(maps)
    maps = layers.DepthwiseConv2D(3, strides=2, use_bias=False)(maps)
    maps = layers.Activation("swish")(layers.BatchNormalization()(maps))
    squeezed = layers.Reshape((1, 1, 3))(layers.GlobalAveragePooling2D()(maps))
    maps = layers.Multiply()([maps, layers.Conv2D(3, 1, activation="sigmoid")(squeezed)])
    return library.Model(start, layers.Dense(1, activation="sigmoid")(layers.Flatten()(maps)))


@pytest.mark.parametrize("form", ["whole.h5", "model.keras", "saved_model"])
@pytest.mark.parametrize("version", ["keras 2", "keras 3"])
@pytest.mark.parametrize("make", [transfer, nested, normalised], ids=lambda make: make.__name__)
@pytest.mark.filterwarnings("ignore")
def test_networks_of_every_shape_give_the_same_numbers(tmp_path, make, version, form):
    if (version, form) == ("keras 3", "saved_model"):
        pytest.skip("Keras 3 exports a graph without an architecture")
    model, images, expected = built(make, version)
    model.save(tmp_path / form)
    pair = find_pair(tmp_path / form)
    found = load_model(pair, read_architecture(pair))(images).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@functools.cache
def built(make, version):
    """(the model with weights that are not those of its beginning, images, what it answers)."""
    random = np.random.RandomState(1)
    model = make(keras if version == "keras 3" else pytest.importorskip("tf_keras"))
    weights = model.get_weights()
    floats = [random.uniform(0.05, 0.5, one.shape) for one in weights]
    kept = [new if one.dtype.kind == "f" else one for new, one in zip(floats, weights, strict=True)]
    model.set_weights(kept)
    images = random.rand(2, 32, 32, 3).astype(np.float32) * 255
    return model, images, np.asarray(model(images, training=False))


def save(tmp_path, model, name="model.keras"):
    model.save(tmp_path / name)
    return tmp_path / name


def refuse(path, message):
    with pytest.raises(UserError, match=message):
        load_classifier(path)


def small(shape=(16, 16, 3), units=1, activation="sigmoid"):
    conv, pool = keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()
    end = keras.layers.Dense(units, activation=activation)
    return keras.Sequential([keras.Input(shape), conv, pool, end])


@pytest.mark.parametrize("units", [1, 2])
def test_logits_become_probabilities(tmp_path, units):
    model = small(units=units, activation=None)
    found = load_classifier(save(tmp_path, model)).predict(IMAGES)
    logits = model(IMAGES.astype(np.float32) / 255).numpy()
    difference = logits[:, -1] - (logits[:, 0] if units == 2 else 0)
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-difference)), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("units", [2, 3])
def test_scores_of_a_sigmoid_each_are_divided_by_their_sum_which_is_said(tmp_path, units, capsys):
    model = small(units=units, activation="sigmoid")
    path = save(tmp_path, model)
    classifier = load_classifier(path, engine="keras", labels=["a", "b", "c"][:units])
    assert "a score of its own (sigmoid): read as divided by their sum" in capsys.readouterr().err
    scores = model(IMAGES.astype(np.float32) / 255).numpy()
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict(IMAGES), expected, atol=1e-5)
    turned = classifier.with_threshold(tta=True).predict(IMAGES)
    np.testing.assert_allclose(turned.sum(axis=1), 1, atol=1e-5)


def test_scores_of_a_tflite_are_known_and_a_saved_pair_keeps_what_they_are(tmp_path, capsys):
    model = small(units=2, activation="sigmoid")
    (tmp_path / "a.tflite").write_bytes(to_tflite(model))
    found = load_classifier(tmp_path / "a.tflite")
    assert found.metadata.output == "scores"
    read = load_classifier(save(tmp_path, model), engine="keras")
    save_as_pair(read, tmp_path / "saved.h5")
    capsys.readouterr()
    saved = load_classifier(tmp_path / "saved.h5")
    np.testing.assert_allclose(saved.predict(IMAGES), found.predict(IMAGES), atol=1e-5)
    assert capsys.readouterr().err == ""


def test_an_image_whose_scores_are_all_0_is_a_row_with_the_reason(tmp_path):
    classifier = load_classifier(save(tmp_path, small(units=2, activation="sigmoid")))
    zeros = PlainNetwork(lambda images: np.zeros((len(images), 2), np.float32), output_count=2)
    [one] = replace(classifier, network=zeros).classify(IMAGES[0])
    assert one.error == "the network gave no probabilities: scores that are all 0, or no numbers"


def test_labels_beside_the_model_are_taken_and_said(tmp_path, capsys):
    path = save(tmp_path, small(units=2, activation="softmax"))
    (tmp_path / "labels.txt").write_text("0 Uninfected\n1 Parasitized\n")
    classifier = load_classifier(path, engine="keras")
    assert classifier.metadata.labels == ("Uninfected", "Parasitized")
    told = capsys.readouterr().err
    assert "labels.txt names the model's labels: Uninfected, Parasitized\n" in told
    classifier = load_classifier(path, engine="keras", labels=["a", "b"])
    assert classifier.metadata.labels == ("a", "b")
    assert "labels.txt" not in capsys.readouterr().err


def test_four_labels_that_nobody_names_are_asked_for(tmp_path):
    path = save(tmp_path, small(units=4, activation="softmax"))
    with pytest.raises(UsageError, match=r"^name the model's 4 labels: --labels=A,B,C,D$"):
        load_classifier(path, engine="keras")


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("model.keras", ["my model", "-\x1b[2J"]),
        ("model.h5", ["conv 1 ü", "x" * 300, "Conv/BatchNorm"]),
    ],
)
def test_names_that_tensorflow_does_not_take_are_no_hindrance(tmp_path, form, names):
    model = small()
    expected = model(IMAGES.astype(np.float32) / 255).numpy()
    path = save(tmp_path, model, form)
    for name in names:
        renamed = rename(path, model.layers[0].name, name)
        found = load_classifier(renamed, engine="keras").predict(IMAGES)
        np.testing.assert_allclose(found[:, 1:], expected, atol=1e-5)


def rename(path, layer, name):
    """A copy of the file in which the network and one layer have another name."""
    copy = path.with_name(f"renamed{path.suffix}")
    shutil.copy(path, copy)
    change = lambda text: json.dumps(  # noqa: E731
        json.loads(text, object_hook=lambda node: rename_node(node, layer, name))
    )
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for entry in old.namelist():
                content = old.read(entry)
                new.writestr(entry, change(content) if entry == "config.json" else content)
        return copy
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = change(file.attrs["model_config"])
        weights = file["model_weights"]
        names = [name if one == layer else one for one in weights.attrs["layer_names"]]
        weights.attrs["layer_names"] = [one.encode() for one in names]
        weights.move(layer, name)
    return copy


def rename_node(node, layer, name):
    if node.get("name") == layer or isinstance(node.get("layers"), list):
        node["name"] = name
    return node


def reused(library):
    """One layer of pooling and one of ReLU called twice, and a layer named as an operation is."""
    layers = library.layers
    pool, relu = layers.MaxPooling2D(), layers.ReLU()
    start = library.Input((32, 32, 3), name="image")
    maps = pool(relu(layers.Conv2D(3, 3, padding="same")(start)))
    maps = pool(relu(layers.Conv2D(3, 3, padding="same")(maps)))
    maps = layers.Multiply(name="multiply")([maps, layers.Activation("leaky_relu")(maps)]) * 0.5
    end = layers.Dense(1, activation="sigmoid", name="y")(layers.Flatten()(maps))
    return library.Model({"image": start}, {"y": end})


def torch_like(library):
    """What `preprocess_input` of DenseNet leaves, and a batch that is always the same."""
    layers, start = library.layers, library.Input(batch_shape=(2, 32, 32, 3))
    maps = library.applications.densenet.preprocess_input(start)
    maps = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(maps)
    maps = layers.Conv2DTranspose(2, 3)(layers.CenterCrop(30, 30)(maps))
    maps = layers.GlobalAveragePooling2D()(layers.GroupNormalization(2)(maps))
    return library.Model(start, layers.Dense(2, activation="softmax")(maps))


def caffe_like(library):
    """What `preprocess_input` of VGG16 and ResNet50 leaves: BGR, less the means."""
    layers, start = library.layers, library.Input((32, 32, 3))
    maps = library.applications.vgg16.preprocess_input(start)
    maps = layers.Conv2D(4, 3)(maps / 255)
    maps = layers.GlobalAveragePooling2D()(1.5 - (maps + layers.ReLU()(maps)))
    return library.Model(start, layers.Dense(1, activation="sigmoid")(maps))


@pytest.mark.parametrize("version", ["keras 2", "keras 3"])
@pytest.mark.parametrize("make", [reused, torch_like, caffe_like], ids=lambda make: make.__name__)
@pytest.mark.filterwarnings("ignore")
def test_what_transfer_learning_leaves_in_a_graph_gives_the_same_numbers(tmp_path, make, version):
    model = make(keras if version == "keras 3" else pytest.importorskip("tf_keras"))
    images = np.random.RandomState(1).rand(2, 32, 32, 3).astype(np.float32) * 255
    model.save(tmp_path / "whole.h5")
    pair = find_pair(tmp_path / "whole.h5")
    found = load_model(pair, read_architecture(pair))(images).numpy()
    expected = model(images)
    expected = expected["y"] if isinstance(expected, dict) else expected
    np.testing.assert_allclose(found, np.asarray(expected), atol=1e-5)


def test_layers_that_read_each_other_in_a_ring_are_refused(tmp_path):
    path = save(tmp_path, reused(keras), "a.h5")
    with h5py.File(path, "r+") as file:
        content = json.loads(file.attrs["model_config"])
        [one] = [e for e in content["config"]["layers"] if e["class_name"] == "Flatten"]
        one["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "y"
        file.attrs["model_config"] = json.dumps(content)
    refuse(path, "reads one that reads it")


def test_a_grey_network_gets_grey(tmp_path):
    model = small(shape=(16, 16, 1))
    classifier = load_classifier(save(tmp_path, model))
    assert classifier.metadata.pixels.colour == "GREY"
    [prediction] = classifier.classify(IMAGES[0])
    grey = np.asarray(Image.fromarray(IMAGES[0]).convert("L"), np.float32)[None, ..., None] / 255
    expected = model(grey).numpy()[0, 0]
    assert prediction.probabilities[1] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(UsageError, match="--channels: the network takes 1 channels; received rgb"):
        load_classifier(tmp_path / "model.keras", channels="rgb")


def test_a_network_of_any_size_has_to_be_told_one(tmp_path):
    path = save(tmp_path, small(shape=(None, None, 3)))
    with pytest.raises(UsageError, match="--resize=H,W"):
        load_classifier(path)
    assert load_classifier(path, size=(20, 24)).metadata.pixels.size == (20, 24)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [("255", 1.0), ("1", 255.0), ("-1..1", 1.0), ("imagenet", (1 - 0.485) / 0.229)],
)
def test_the_scale_that_is_said_is_used(tmp_path, scale, expected):
    path = save(tmp_path, small())
    classifier = load_classifier(path, scale=scale, channels="bgr", labels=["a", "b"], positive="b")
    white = np.full((1, 16, 16, 3), 255, np.uint8)
    assert classifier.scale(white)[0, 0, 0, 0] == pytest.approx(expected, rel=1e-5)
    metadata = classifier.metadata
    assert (metadata.labels, metadata.positive_label) == (("a", "b"), "b")
    assert metadata.pixels.colour == "BGR"


@keras.saving.register_keras_serializable("mine")
class Custom(keras.layers.Layer):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("layer", [keras.layers.Lambda(lambda x: x), Custom()])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, name, layer):
    model = keras.Sequential([keras.Input((16, 16, 3)), layer, keras.layers.Flatten()])
    received = f"received the class '(mine>)?{type(layer).__name__}'; others could run code"
    refuse(save(tmp_path, model, name), received)


def test_a_graph_without_an_architecture_is_refused_with_the_remedy(tmp_path):
    small().export(tmp_path / "exported", verbose=False)
    refuse(tmp_path / "exported", r'save the model again with model\.save\("model\.keras"\)')


def test_weights_alone_are_told_what_is_missing(tmp_path):
    small().save_weights(tmp_path / "a.weights.h5")
    refuse(tmp_path / "a.weights.h5", r"weights and no network: expected its \.json beside")


def repack(path, changes, **options):
    """Write the .keras again with other contents, or packed in another way."""
    with zipfile.ZipFile(path) as file:
        contents = {name: file.read(name) for name in file.namelist()} | changes
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in contents.items():
            file.writestr(name, content)


def test_a_config_that_unpacks_to_a_giant_is_refused_even_if_it_hides_its_size(tmp_path):
    path = save(tmp_path, small())
    repack(path, {"config.json": bytes(20_000_000)}, compression=zipfile.ZIP_DEFLATED)
    refuse(path, "config.json would be 20,000,000 bytes, more than the 5,000,000 allowed")
    content = path.read_bytes()
    size = (20_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (500).to_bytes(4, "little")))
    refuse(path, "expected a .keras file as `model.save` writes it: Bad CRC-32")


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_keras_file_packed_in_a_rare_way_is_refused(tmp_path, compression):
    path = save(tmp_path, small())
    repack(path, {}, compression=compression)
    refuse(path, "config.json is packed in a way that Keras does not write")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_damaged_stream_in_a_keras_file_is_told_in_one_line(tmp_path, member):
    path = save(tmp_path, small())
    repack(path, {}, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    place = content.find(member.encode()) + len(member) + 8
    content[place : place + 40] = b"\xff" * 40
    path.write_bytes(content)
    refuse(path, r"\Acannot read .*Error -3 while decompressing.*\Z")


def test_a_zip_whose_list_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "a.keras"
    end = b"PK\5\6" + bytes(4) + b"\xff" * 4 + (10**9).to_bytes(4, "little") + bytes(6)
    path.write_bytes(b"PK\3\4" + bytes(26) + b"config.json" + end)
    refuse(path, "its list of files has 1,000,000,000 bytes")


def test_a_file_of_holes_holds_no_weights(tmp_path):
    for end in (".h5", ".json"):
        shutil.copy(
            HERE / f"keras3_weights{'.weights' * (end == '.h5')}{end}", tmp_path / f"a{end}"
        )
    before = stored_bytes(find_pair(tmp_path / "a.h5"))
    os.truncate(tmp_path / "a.h5", 2**31)
    assert stored_bytes(find_pair(tmp_path / "a.h5")) <= before + 2**16


def test_a_compressed_giant_in_an_h5_is_refused_before_it_is_unpacked(tmp_path):
    path = save(tmp_path, small(), "model.h5")
    with h5py.File(path, "r+") as file:
        file.create_dataset("bomb", (30_000, 30_000), "f4", chunks=(30_000, 30_000), compression=9)
    refuse(path, "its weights would take 3,600,")


def test_groups_nested_without_end_are_refused(tmp_path):
    path = save(tmp_path, small(), "model.h5")
    with h5py.File(path, "r+") as file:
        file.create_group("/g" * 200)
    refuse(path, "40 deep: no weights")


def test_a_keras_file_that_unpacks_to_a_giant_is_refused(tmp_path):
    path = save(tmp_path, small())
    with zipfile.ZipFile(path) as file:
        config = file.read("config.json")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", bytes(50_000_000))
    refuse(path, "model.weights.h5 would be 50,000,000 bytes, more than the 1,[0-9,]+ allowed")


@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a.tflite"])
@pytest.mark.parametrize("content", [b"", b"no model", b"PK\3\4" + bytes(99)])
def test_what_is_no_model_is_told_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path / name, r"\A.*\Z")


def test_a_tflite_that_would_fill_the_memory_is_refused_and_not_run(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
    def giant(images):
        wide = tf.broadcast_to(tf.reduce_mean(images, axis=(1, 2)), (40_000, 3))
        return tf.reduce_sum(wide[:, None] * wide[None], axis=(0, 1))[None]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([giant.get_concrete_function()])
    (tmp_path / "a.tflite").write_bytes(converter.convert())
    refuse(tmp_path / "a.tflite", r"a\.tflite: (its tensors would take|expected the operat)")


def test_the_command_writes_what_it_opened_as_a_pair(tmp_path, capsys):
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    images = ["--image", *map(str, sorted(tmp_path.glob("*.png")))]
    options = [f"--model={HERE}/keras2.keras", "--labels=ill,well", f"--save={tmp_path}/b.h5"]
    assert main([*images, *options]) == 0
    first = capsys.readouterr()
    assert main([*images, f"--model={tmp_path}/b.h5"]) == 0
    second = capsys.readouterr()
    assert first.out == second.out != ""
    assert "assumed" in first.err
    assert "assumed" not in second.err
