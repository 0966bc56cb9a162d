"""Tests of malaria/settings/config*.py, of config.yaml and of configs/."""

import json
import os
from datetime import date
from pathlib import Path

import pytest
import yaml

from malaria.base.errors import UsageError
from malaria.data.dataset import PATIENT_PATTERN
from malaria.data.training_folders import TrainingFolder
from malaria.settings.config import NOT_IN_IDENTITY, Augmentation, Config
from malaria.settings.config_check import make_config
from malaria.settings.config_file import MAX_CONFIG_BYTES, read_config
from malaria.settings.config_reference import settings_table

REPOSITORY = Path(__file__).parents[2]
EXPECTED = "expected a folder or a table, or a list, each a text or {folder, name, patient_pattern}"


@pytest.fixture
def read(tmp_path):
    def read(text, *overrides, **settings):
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_config(path, overrides, **settings)

    return read


@pytest.fixture
def problems(read, tmp_path):
    """A function that returns the lines of a refusal, without the folder of the file."""

    def problems(text, *overrides, **settings):
        with pytest.raises(UsageError) as caught:
            read(text, *overrides, **settings)
        lines = str(caught.value).replace(f"{tmp_path}/", "").split("\n")
        assert all(line.isprintable() for line in lines)
        return lines

    return problems


def test_config_yaml_names_every_setting_with_its_default():
    settings = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    assert set(settings) == set(Config.model_fields)
    assert set(settings["augmentation"]) == set(Augmentation.model_fields)
    assert read_config(REPOSITORY / "config.yaml") == Config()


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("configs/*.yaml")), ids=lambda p: p.stem)
def test_every_file_in_configs_is_valid_and_differs_from_the_defaults(path):
    assert read_config(path) != Config()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("original",
         {"batch_size": 200, "epochs": 35, "train_size": 6000, "steps_per_epoch": 60,
          "validation_steps": 15, "learning_rate": 1e-4, "schedule": "constant",
          "weight_decay": 0, "label_smoothing": 0, "ema_decay": 0,
          "augmentation": Augmentation(flips=True, rotation=45, shear=0.033, zoom=0.033)}),
        ("keras_cnn",
         {"model": "keras_cnn", "image_size": (128, 128), "train_size": 3445, "batch_size": 16,
          "learning_rate": 1e-3, "schedule": "constant", "early_stopping": 2, "kept": "best",
          "weight_decay": 0, "augmentation": Augmentation()}),
        ("xresnet34",
         {"model": "xresnet34", "image_size": (224, 224), "train_size": 3445, "batch_size": 64,
          "learning_rate": 2e-3, "schedule": "fine_tune", "epochs": 6, "weight_decay": 0.01,
          "label_smoothing": 0}),
    ],
)  # fmt: skip
def test_the_numbers_of_the_originals_are_in_their_configs(name, numbers):
    config = read_config(REPOSITORY / "configs" / f"{name}.yaml")
    assert {key: getattr(config, key) for key in numbers} == numbers


def test_an_empty_config_is_the_defaults(read):
    for text in ("", "# nothing\n", "\ufeff", "{}"):
        assert read(text) == Config()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("epochs: 1.5", "expected a valid integer; received 1.5"),
        ("epochs: '3'", "expected a valid integer; received '3'"),
        ("epochs: true", "expected a valid integer; received True"),
        ("epochs: 0", "expected greater than or equal to 1; received 0"),
        ("epochs:", "expected a valid integer; received None"),
        ("learning_rate: true", "expected a number; received True"),
        ("learning_rate: .nan", "expected a finite number; received nan"),
        ("learning_rate: .inf", "expected a finite number; received inf"),
        ("learning_rate: 11", "expected less than or equal to 10; received 11"),
        ("test_size: 1", "expected less than 1; received 1"),
        ("test_size: 0", "expected greater than 0; received 0"),
        ("deterministic: 1", "expected a valid boolean; received 1"),
        ("mixed_precision: maybe", "expected 'auto', True or False; received 'maybe'"),
        ("labels: [a]", "expected at least 2 items; received ['a']"),
        ("labels: [a, a]", "expected labels that differ; received ['a', 'a']"),
        ("image_size: [1, 2, 3]", "expected at most 2 items; received [1, 2, 3]"),
        ("image_size: 141", "expected a valid tuple; received 141"),
        ("image_size: [0, 9]", "expected greater than or equal to 1; received [0, 9]"),
        ("image_size: [3, 4]", "quarter_turns need a square; received [3, 4]"),
        ("labels: [no, yes]", "expected a valid string, put it in quotes; received [False, True]"),
        *((f"labels: [{value}, b]",
           f"expected a valid string, put it in quotes; received [{read!r}, 'b']")
          for value, read in (("0", 0), ("1.0", 1.0), ("null", None),
                              ("2024-01-01", date(2024, 1, 1)))),
        ("positive_label: yes", "expected a valid string, put it in quotes; received True"),
        ("patient_pattern: 5", "expected a valid string, put it in quotes; received 5"),
        ("output_models:", "expected a valid string; received None"),
        ("train_images: 5", f"{EXPECTED}, put it in quotes; received 5"),
        ("labels: !!set {a}", "expected a list; received {'a'}"),
        ('init_weights: "a\\0"',
         "expected text without NUL and lone surrogates; received 'a\\x00'"),
        ('exclude: "a\\ud800"',
         "expected text without NUL and lone surrogates; received 'a\\ud800'"),
        ("labels: [../x, b]",
         "expected the name of a folder in train_images; received ['../x', 'b']"),
        ("schedule: linear", "expected 'constant', 'cosine' or 'fine_tune'; received 'linear'"),
        ("devices: gpu", "expected 'auto', 'cpu' or 'all'; received 'gpu'"),
        ("patient_pattern: (", "expected a regular expression: missing ), unterminated subpattern "
         "at position 0; received '('"),
        ("learnign_rate: 1", "no such key; did you mean learning_rate?"),
        ("augmentation: [1]", "expected lines of 'key: value'; received [1]"),
        ("augmentation:", "expected lines of 'key: value'; received None"),
        ("augmentation.zoom: 5", "expected less than 1; received 5"),
        ("augmentation.rotatoin: 3", "no such key; did you mean rotation?"),
        ("positive_label: x", "expected one of ['Parasitized', 'Uninfected']; received 'x'"),
        ("label_smoothing: 0.5", "expected less than 0.5; received 0.5"),
        ("keep: first", "expected 'best' or 'last'; received 'first'"),
        ("model: compct", "expected vgg or compact or keras_cnn or xresnet34 or efficientnet_lite0 "
         "or detector or keras.NAME of keras.applications; did you mean compact?; received "
         "'compct'"),
    ],
)  # fmt: skip
def test_each_fault_says_where_which_key_what_is_expected_and_what_was_found(
    problems, line, problem
):
    key = line.partition(":")[0]
    text = line.replace("augmentation.", "augmentation:\n  ")
    place = 1 + text.count("\n")
    assert problems(f"# first line\n{text}\n") == [
        f"config.yaml, line {1 + place}: {key}: {problem}"
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("keras.mobilnetv2", "did you mean keras.MobileNetV2?; received 'keras.mobilnetv2'"),
        ("vgg16", "did you mean keras.VGG16?; received 'vgg16'"),
        ("keras.ConvNeXtTiny", ", NAME one of EfficientNetB0, EfficientNetB1, "),
        ("keras.__class__", ", NAME one of EfficientNetB0, EfficientNetB1, "),
        ("keras.", ", NAME one of EfficientNetB0, EfficientNetB1, "),
    ],
)
def test_a_network_that_is_not_known_gets_the_nearest_name_or_all(problems, name, told):
    [line] = problems(f"model: {name}\n")
    assert told in line
    assert line.startswith("config.yaml, line 1: model: expected vgg or compact or ")


def test_a_network_of_keras_is_a_model_with_weights_and_a_smallest_size_of_its_own(problems):
    size = "image_size: [74, 80]\naugmentation: {}\n"
    assert Config(model="keras.Xception", init_weights="imagenet").rates == "fine_tune"
    [line] = problems(f"model: keras.InceptionV3\n{size}")
    assert "keras.InceptionV3 needs sides of at least 75 pixels; received [74, 80]" in line
    [line] = problems("model: compact\ninit_weights: imagenet\n")
    assert "init_weights: imagenet is for model keras.NAME; received model compact" in line


@pytest.mark.parametrize("key", ["xyzzy", "x.yzzy 1", "1", "true", "null", '"a\\e[2Jb"'])
def test_a_key_unlike_any_other_gets_the_list_of_all(problems, key):
    [line] = problems(f"{key}: 2\n")
    assert "no such key; known: ['train_images', 'labels', " in line
    assert line.startswith("config.yaml")


def test_all_problems_come_at_once_in_the_order_of_the_file(problems):
    faults = "\n".join(["epochs: 0", *["#"] * 8, "modle: vgg", "augmentation:", "  zoom: 9"])
    lines = problems(f"{faults}\npositive_label: x\n", "batch_size=0")
    assert lines == [
        "5 problems in the settings",
        "  config.yaml, line 1: epochs: expected greater than or equal to 1; received 0",
        "  config.yaml, line 10: modle: no such key; did you mean model?",
        "  config.yaml, line 12: augmentation.zoom: expected less than 1; received 9",
        "  config.yaml, line 13: positive_label: expected one of ['Parasitized', 'Uninfected']; "
        "received 'x'",
        "  --set: batch_size: expected greater than or equal to 1; received 0",
    ]


def test_every_spelling_of_a_number_is_one(read):
    for number in ("1e-4", "1.0e-4", "0.0001", "'1e-4'"):
        assert read(f"learning_rate: {number}").learning_rate == 1e-4
        assert read("", f"learning_rate={number}").learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nepochs: 4",
         "config.yaml, line 2: epochs stands twice, first in config.yaml, line 1"),
        ("augmentation:\n  zoom: 0\n  zoom: 0.1",
         "config.yaml, line 3: augmentation.zoom stands twice, first in config.yaml, line 2"),
        ("- 1", "config.yaml: expected lines of 'key: value', received [1]"),
        ("hello", "config.yaml: expected lines of 'key: value', received 'hello'"),
        ("labels: [a", "config.yaml is not YAML: "),
        ("epochs: 3\n---\nepochs: 4", "config.yaml is not YAML: "),
        (b"labels: [\xe9, b]", "config.yaml is not YAML: 'utf-8' codec can't decode byte 0xe9"),
        ("? [a, b]\n: 1", "config.yaml is not YAML: "),
        ("labels: " + "[" * 5000, "config.yaml is not YAML: "),
        ("a: \x1b[2J", "config.yaml is not YAML: "),
        ("epochs: 3\n" + "#" * MAX_CONFIG_BYTES, "config.yaml: more than 1,000,000 bytes"),
        ("# " + "ä" * MAX_CONFIG_BYTES, "config.yaml: more than 1,000,000 bytes"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "latin-1",
)  # fmt: skip
def test_what_is_no_config_is_refused_in_one_line(problems, text, message):
    [line] = problems(text)
    assert line.startswith(message)
    assert len(line) < 400
    assert "<unicode string>" not in line


def test_a_missing_config_is_told_and_what_is_no_file_is_not_waited_for(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the config .*none\.yaml: No such file"):
        read_config(tmp_path / "none.yaml")
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(UsageError, match=f"cannot read the config {path}: not a regular file"):
            read_config(path)


def test_long_values_and_a_thousand_keys_are_told_in_short(problems):
    [line] = problems(f"train_images: {'x' * 5000}\n")
    assert len(line) < 200
    for number in ("0x" + "f" * 9000, "1:" * 9000 + "1", "9" * 6000, "1." + "0" * 6000):
        [line] = problems(f"random_state: {number}")
        shown = number[:76]
        told = f"random_state: expected a valid integer; received '{shown}..."
        assert line == f"config.yaml, line 1: {told}"
    first, *lines = problems("\n".join(f"key{number}: 1" for number in range(1000)))
    assert first == "1000 problems in the settings"
    assert (len(lines), lines[-1]) == (31, "  and 970 more")


@pytest.mark.parametrize("tag", ["apply:os.mkdir [{}]", "new:os.mkdir [{}]", "name:os.mkdir"])
def test_a_python_object_is_refused_and_not_made(problems, tmp_path, tag):
    value = "!!python/object/" + tag.format(tmp_path / "made")
    assert problems(f"output_models: {value}")[0].startswith("config.yaml is not YAML: ")
    assert problems("", f"output_models={value}")[0].endswith("the value is not YAML")
    assert not (tmp_path / "made").exists()


LEVELS = list(zip("abcdefgh", "bcdefghi", strict=True))
LISTS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in LEVELS)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in LEVELS
)


@pytest.mark.parametrize("text", [LISTS + "labels: *i", LISTS + "train_images: *i", MERGES])
def test_a_few_lines_that_would_fill_the_memory_are_refused(problems, text):
    assert problems(text) == ["config.yaml is not YAML: an alias, *a, in line 2 is not taken here"]


def test_defaults_give_way_to_the_file_and_the_file_to_set(read):
    text = "epochs: 3\naugmentation: {zoom: 0.1, flips: true}\n"
    config = read(text, "augmentation.zoom=0.2", "batch_size=8", "batch_size=9")
    assert (config.epochs, config.batch_size, config.random_state) == (3, 9, 42)
    assert config.augmentation == Augmentation(zoom=0.2, flips=True)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("labels=[NORMAL, PNEUMONIA]", "labels", ("NORMAL", "PNEUMONIA")),
        ("train_size=null", "train_size", None),
        ("deterministic=true", "deterministic", True),
        ("image_size=[64, 64]", "image_size", (64, 64)),
        ("patient_pattern=^P(\\d+)=", "patient_pattern", "^P(\\d+)="),
        ("augmentation={zoom: 0.2}", "augmentation", Augmentation(zoom=0.2)),
        ("augmentation.zoom=0.2", "augmentation", Augmentation(zoom=0.2)),
        ("train_images=my cells/", "train_images", "my cells/"),
    ],
)
def test_the_value_of_set_is_yaml(read, override, key, value):
    assert getattr(read("train_size: 100\n", override), key) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "--set epochs: expected key=value"),
        ("=3", "--set =3: expected key=value"),
        ("epochs=[", "--set epochs=[: the value is not YAML"),
        ("labels=" + "[" * 5000, "--set labels=["),
        ("labels=[&a x, *a]", "--set labels=[&a x, *a]: the value is not YAML"),
        ("augmentation.zoom=2", "--set: augmentation.zoom: expected less than 1; received 2"),
        ("epoch=3", "--set: epoch: no such key; did you mean epochs?"),
        ("epochs.x=3", "--set: epochs: expected a valid integer; received {'x': 3}"),
        ("cache=a\x1bb", "--set cache=a\\x1bb: the value is not YAML"),
    ],
    ids=lambda value: value[:24],
)
def test_a_wrong_override_is_told(problems, override, message):
    [line] = problems("epochs: 2\n", override)
    assert line.startswith(message)


def test_a_folder_without_a_label_is_told_with_the_nearest_name(problems, write_cells):
    [line] = problems("labels: [a]\n", with_data=True)
    assert "expected at least 2 items" in line  # and no folder is searched for it
    folder = write_cells(labels=("Parasitized", "Uninfectd"))
    assert problems(f"epochs: 3\ntrain_images: {folder}", with_data=True) == [
        "config.yaml: labels: no folder for Uninfected in cells; the folders there: "
        "['Parasitized', 'Uninfectd']; did you mean Uninfectd?"
    ]


def test_a_folder_whose_name_is_too_long_to_be_one_is_told(problems):
    [line] = problems(f"train_images: {'x' * 300}", with_data=True)
    assert line.startswith("config.yaml, line 1: train_images: cannot look into xxx")
    assert line.endswith(": File name too long")


def test_a_key_that_is_no_text_and_settings_of_python_with_nul_are_told(problems):
    [line] = problems('"\\ud800": 1')
    assert line == (
        "config.yaml, line 1: \\ud800: expected text without NUL and lone surrogates; received 1"
    )
    with pytest.raises(UsageError, match="labels: expected text without NUL"):
        make_config({"labels": ["a", "b\0"]})


def test_problems_of_the_data_and_of_the_settings_come_together(problems, write_cells):
    text = f"train_images: {write_cells()}\ntrain_size: 5\nepochs: 0\n"
    assert problems(text, with_data=True) == [
        "2 problems in the settings",
        "  config.yaml, line 2: train_size: received 5 images per label, but there are only "
        "{'Parasitized': 4, 'Uninfected': 4}",
        "  config.yaml, line 3: epochs: expected greater than or equal to 1; received 0",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *((f"model: {model}\nimage_size: [{side}, {side}]",
           f"image_size: {model} needs sides of at least {side + 1} pixels; received "
           f"[{side}, {side}]")
          for model, side in (("vgg", 41), ("compact", 15), ("keras_cnn", 21))),
        ("tta: true\nimage_size: [50, 60]\naugmentation: {}\n",
         "tta: quarter turns need a square image_size; received [50, 60]"),
        *((f"model: compact\n{half}\n", "expected progressive_epochs and progressive_size together")
          for half in ("progressive_epochs: 2", "progressive_size: [48, 48]")),
        ("early_stopping: 2\nkeep: last\n", "keep: early_stopping goes with keep: best"),
        ("progressive_epochs: 1\nprogressive_size: [48, 48]\n",
         "progressive_epochs: expected model compact or xresnet34 or efficientnet_lite0, which "
         "take any size; received vgg"),
        ("model: compact\nprogressive_epochs: 1\nprogressive_size: [48, 32]\n",
         "progressive_size: quarter_turns need a square; received [48, 32]"),
        ("model: compact\nprogressive_epochs: 1\nprogressive_size: [8, 8]\n",
         "progressive_size: compact needs sides of at least 16 pixels; received [8, 8]"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_told(problems, text, problem):
    [line] = problems(text)
    assert problem in line


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("", "kept", "last"),
        ("early_stopping: 2", "kept", "best"),
        ("keep: best", "kept", "best"),
        ("keep: last", "kept", "last"),
        ("", "rates", "cosine"),
        ("init_weights: pretrained", "rates", "fine_tune"),
        ("init_weights: pretrained\nschedule: cosine", "rates", "cosine"),
        ("schedule: fine_tune", "rates", "fine_tune"),
    ],
)
def test_which_weights_are_kept_and_how_they_learn_follows_from_other_settings(
    read, text, name, value
):
    assert getattr(read(text), name) == value


def test_the_positive_label_is_the_named_one_or_parasitized_or_the_last():
    ours, others = ("Parasitized", "Uninfected"), ("NORMAL", "PNEUMONIA")
    for labels in (ours, ours[::-1]):
        assert Config(labels=labels).positive == "Parasitized"
    assert Config(labels=others).positive == "PNEUMONIA"
    assert Config(labels=others, positive_label="NORMAL").positive == "NORMAL"


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (("PNEUMONIA", "NORMAL"), "PNEUMONIA"),
        (("yes", "no"), "yes"),
        (("1", "0"), "1"),
        (("tb", "healthy_cells"), "tb"),
        (("malaria", "no_malaria", "not-infected"), "malaria"),
        (("parasitized", "NonParasitised"), "parasitized"),
        (("abnormal", "Normal"), "abnormal"),
        (("not normal", "normal"), "not normal"),
        (("Bacteria", "Virus", "Normal"), "Virus"),
        # Nothing is told by these.
        (("normal", "healthy"), "healthy"),
        (("a", "b"), "b"),
        (("病", "无"), "无"),
    ],
)
def test_the_positive_label_that_nobody_names_is_not_the_one_of_the_healthy(labels, positive):
    assert Config(labels=labels).positive == positive


def test_a_run_stays_the_same_run_for_settings_that_change_no_weight(read):
    for setting in ("cache: disk", "devices: cpu", "output_models: x/", "plot_training_data: false",
                    "tensorboard: true", "epochs: 16", "learning_rate: 7e-4"):  # fmt: skip
        assert read(setting).identity == Config().identity


IN_IDENTITY = {
    "train_images": "x/", "labels": ["Uninfected", "Parasitized"], "train_size": 9,
    "positive_label": "Uninfected", "split_by": "image", "patient_pattern": "^P", "test_size": 0.2,
    "random_state": 1, "image_size": [64, 64], "epochs": 6, "batch_size": 8, "steps_per_epoch": 9,
    "validation_steps": 9, "learning_rate": 1e-3, "schedule": "constant", "warmup": 0.1,
    "early_stopping": 2, "augmentation": {"zoom": 0.1}, "mixed_precision": True,
    "deterministic": True, "threshold": "youden", "exclude": "a.csv", "weight_decay": 0.02,
    "label_smoothing": 0.2, "ema_decay": 0.9, "progressive_epochs": 1, "progressive_size": [48, 48],
    "keep": "last", "tta": True, "resize": "pad", "contradictions": "exclude",
    "validation_images": "x/", "init_weights": "pretrained", "balance": "label",
    "teachers": "a.h5", "teacher_share": 0.5, "guard": False, "not_cells": "x/",
    "composed_of": "x/", "composed_share": 0.2,
}  # fmt: skip


def test_another_weight_means_another_run():
    assert set(IN_IDENTITY) | NOT_IN_IDENTITY | {"model"} == set(Config.model_fields)
    identities = {Config(**{key: value}).identity for key, value in IN_IDENTITY.items()}
    assert len(identities - {Config().identity}) == len(IN_IDENTITY)
    assert all(len(identity) == 12 for identity in identities)


def test_a_config_does_not_change_after_it_is_read():
    with pytest.raises(ValueError, match="frozen"):
        Config().epochs = 3


FORMER = {
    "weight_average": ("ema_decay", 0.9),
    "small_epochs": ("progressive_epochs", 1),
    "small_size": ("progressive_size", [48, 48]),
    "augmentation.stretch": ("augmentation.aspect_ratio", 0.2),
    "augmentation.stain": ("augmentation.color_jitter", 0.2),
}


def nested(name, value):
    group, _, key = name.rpartition(".")
    return {group: {key: value}} if group else {name: value}


@pytest.mark.parametrize("was", FORMER)
def test_a_former_name_works_in_a_file_with_set_and_in_python_and_says_the_new_one(
    read, capsys, was
):
    name, value = FORMER[was]
    known = {"model": "compact", "progressive_epochs": 1, "progressive_size": [32, 32]}
    expected = read(json.dumps(known), f"{name}={value}")
    assert read(json.dumps({**known, **nested(name, value)})) == expected
    assert capsys.readouterr().err == ""
    known.pop(name, None)
    told = "the setting {} is now called {}; the former name still works\n"
    told = told.format(*(text.rpartition(".")[2] for text in (was, name)))
    for text, override in (({**known, **nested(was, value)}, []), (known, [f"{was}={value}"])):
        assert read(json.dumps(text), *override) == expected
        assert capsys.readouterr().err == told
    config = Config(**nested(was, value))
    assert Config(**config.model_dump()) == config == Config(**nested(name, value))


def test_a_problem_under_a_former_name_is_told_at_its_line(problems):
    assert problems("epochs: 3\nweight_average: 2\n") == [
        "config.yaml, line 2: ema_decay: expected less than 1; received 2"
    ]
    assert problems("augmentation:\n  stain: 2\n") == [
        "config.yaml, line 2: augmentation.color_jitter: expected less than 1; received 2"
    ]
    # Both names of one setting are refused.
    [line] = problems("ema_decay: 0.9\nweight_average: 0.8\n")
    assert line.startswith("config.yaml, line 2: weight_average: no such key")


def test_settings_of_a_dict_are_checked_like_those_of_a_file(write_cells):
    settings = {"train_images": str(write_cells()), "image_size": [64, 64], "epochs": 2}
    assert make_config(settings) == Config(**settings)
    assert make_config(Config(**settings)) == Config(**settings)
    with pytest.raises(UsageError) as caught:
        make_config(settings | {"epochs": 0, "image_size": [64, 48], "train_images": "none"})
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 problems in the settings"
    assert "  settings: epochs: expected greater than or equal to 1; received 0" in lines


def test_every_setting_has_a_meaning_and_says_what_is_allowed():
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(Config.model_fields) - 1 + len(Augmentation.model_fields)
    for row in rows:
        cells = [cell.strip() for cell in row.replace("\\|", "/").split("|")[1:-1]]
        assert len(cells) == 4
        assert all(cells)


FOLDER_LIST = """
train_images:
  - {folder: a/nlm, patient_pattern: ^C(\\d+)}
  - b/mpidb
  - {folder: c/, name: chula}
"""


def test_several_folders_are_read_with_their_names_and_patterns(read):
    config = read(FOLDER_LIST)
    assert config.folders == [
        TrainingFolder("a/nlm", "nlm", r"^C(\d+)", True),
        TrainingFolder("b/mpidb", "mpidb", PATIENT_PATTERN, True),
        TrainingFolder("c/", "chula", PATIENT_PATTERN, True),
    ]
    assert config.base_folder == "."
    # As a saved pair's settings are read again.
    assert Config(**json.loads(config.model_dump_json())) == config


def test_a_single_folder_is_one_source_of_the_name_of_its_folder(read):
    config = read("train_images: x/cells/\nvalidation_images: y/other")
    assert config.folders == [TrainingFolder("x/cells/", "cells", PATIENT_PATTERN, False)]
    assert config.validation_folders == [TrainingFolder("y/other", "other", PATIENT_PATTERN, False)]
    assert config.base_folder == "x/cells/"
    # Beside a list it is a source too.
    [validation] = read(FOLDER_LIST + "validation_images: d/new\n").validation_folders
    assert validation == TrainingFolder("d/new", "new", PATIENT_PATTERN, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", f"{EXPECTED}; received []"),
        ("[{folder: 5}]", f"{EXPECTED}; folder: input should be a valid string, put it in quotes; "
         "received [{'folder': 5}]"),
        ("''", "expected a folder's name of 1 to 4096 characters; received ''"),
        ("[a/x, b/x]",
         "expected folders whose names differ: give each a name; received ['a/x', 'b/x']"),
        ("[a, a/]", "expected folders that differ; received ['a', 'a/']"),
        ("[{name: x}]", f"{EXPECTED}; folder: field required; received [{{'name': 'x'}}]"),
        ("[{folder: x, p: y}]",
         f"{EXPECTED}; p: extra inputs are not permitted; received [{{'folder': 'x', 'p': 'y'}}]"),
        ("[{folder: x, name: ../y}]",
         f"{EXPECTED}; name: expected the name of a folder in train_images; "
         "received [{'folder': 'x', 'name': '../y'}]"),
        ("[[x]]", f"{EXPECTED}; folder: input should be a valid string; received [['x']]"),
    ],
)  # fmt: skip
def test_a_wrong_list_of_folders_is_refused_in_one_line(problems, text, problem):
    assert problems(f"train_images: {text}\n") == [f"config.yaml, line 1: train_images: {problem}"]
