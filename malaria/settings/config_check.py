"""config_check: a Config from plain values, or every problem with them."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from malaria.base.errors import UsageError
from malaria.base.text import quote, shorten
from malaria.data.training_folders import find_problems, look_into
from malaria.model import DETECTOR, find_network
from malaria.networks.application_names import IMAGENET, PREFIX
from malaria.pictures.folders import find_images
from malaria.pictures.limits import KINDS
from malaria.settings.augmentation_settings import Augmentation
from malaria.settings.config import ANY_SIZE, Config

# Of a detector's image_size, as of fields/detect.py.
MULTIPLE = 16
# At most this many problems are listed; the rest are counted.
LISTED = 30
# {type of pydantic's error: our words for it, where its own say little}.
EXPECTED = {
    "too_short": "expected at least {min_length} items",
    "too_long": "expected at most {max_length} items",
    "model_type": "expected lines of 'key: value'",
}
FOLDER_KEYS = ("train_images", "validation_images", "not_cells", "teachers")
# {dotted name of a setting: problem}.
Problems = dict[str, str]


def make_config(settings: Config | Mapping[str, Any]) -> Config:
    """The Config of these settings, defaults for those left out, and the images they name checked.

    Raises UsageError with every problem at once.
    """
    values = settings.model_dump() if isinstance(settings, Config) else dict(settings)
    config, problems = check(values, with_data=True)
    if problems:
        raise UsageError(list_problems(problems, {}, "settings"))
    return config


def check(values: dict[str, Any], *, with_data: bool) -> tuple[Config, Problems]:
    """A Config of the valid values, defaults for the others, and the problems of these.

    with_data: look at the images, too, if their folder and the labels are valid.
    """
    broken = {
        key: f"expected text without NUL and lone surrogates; received {show(value)}"
        for key, value in values.items()
        if _is_broken([key, value])
    }
    config, problems = _validate({key: values[key] for key in values if key not in broken})
    problems |= broken
    # In place of the wrong settings `config` holds defaults, of which nothing is said.
    wrong = {key.partition(".")[0] for key in problems}
    for keys, is_wrong, problem in _rules(config):
        if is_wrong and not wrong.intersection(keys.split()):
            problems.setdefault(keys.split()[0], problem)
    if with_data and not wrong & {"train_images", "labels"}:
        problems = _data_problems(config) | problems
    return config, problems


def _data_problems(config: Config) -> Problems:
    if config.model == DETECTOR:
        return _field_problems(config)
    try:
        problems = find_problems(config.folders, config.labels, config.train_size)
        for one in config.validation_folders:
            # It may lack a label, as one of several.
            known = replace(one, is_one_of_several=True)
            for text in look_into(known, config.labels, most=1)[1].values():
                problems.setdefault("validation_images", text)
    except OSError as error:  # of a name that is too long, or a folder that is not ours
        where = shorten(error.filename, 200)
        return {"train_images": f"cannot look into {where}: {error.strerror}"}
    for folder in config.not_cells or ():
        if not os.path.isdir(folder) or next(find_images(Path(folder)), None) is None:
            problems.setdefault("not_cells", f"no folder {folder} with images: expected {KINDS}")
    return problems


def _field_problems(config: Config) -> Problems:
    gone = [one.folder for one in config.folders if not os.path.exists(one.folder)]
    problems = {"train_images": f"no file or folder {quote(gone[0])}"} if gone else {}
    for folder in config.composed_of or ():
        if not os.path.isdir(folder):
            problems["composed_of"] = f"no folder {quote(folder)}"
    return problems


def list_problems(problems: Problems, origins: Mapping[str, str], otherwise: str) -> str:
    """The problems as one message, a line each, in the order of the settings.

    origins: where each setting stands; `otherwise` of those that it lacks.
    """
    order, count = [*origins, *problems], len(problems)
    lines = [
        f"{origins.get(key, otherwise)}: {shorten(key, 80)}: {problems[key]}"
        for key in sorted(problems, key=order.index)
    ]
    if count == 1:
        return lines[0]
    more = [f"and {count - LISTED:,} more"] if count > LISTED else []
    return "\n  ".join([f"{count} problems in the settings", *lines[:LISTED], *more])


def show(value: object) -> str:
    """A value for a message, in at most 80 characters."""
    try:
        return shorten(repr(value), 80)
    except ValueError:  # Python does not write numbers of thousands of digits
        return "a number of thousands of digits"


def _validate(values: dict[str, Any]) -> tuple[Config, Problems]:
    try:
        return Config(**values), {}
    except ValidationError as error:
        faults = error.errors(include_url=False)
    problems: Problems = {}
    for fault in faults:
        depth = 2 if fault["loc"][0] == "augmentation" else 1
        key = ".".join(map(str, fault["loc"][:depth]))
        problems.setdefault(key, _explain(key, fault, values))
    # Not by their dots: an unknown key may have some of its own.
    wrong = {fault["loc"][0] for fault in faults}
    return Config(**{key: value for key, value in values.items() if key not in wrong}), problems


def _explain(key: str, fault: Mapping[str, Any], values: dict[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return _unknown(key)
    allowed = fault["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if fault["type"] in EXPECTED:
        allowed = EXPECTED[fault["type"]].format(**fault.get("ctx", {}))
    received = values.get(key, fault["input"])
    hint = ", put it in quotes" if _lacks_quotes(key, fault) else ""
    return f"{allowed[0].lower()}{allowed[1:]}{hint}; received {show(received)}"


def _lacks_quotes(key: str, fault: Mapping[str, Any]) -> bool:
    """Whether a text was expected, and YAML has read a number, yes, no, null or a date."""
    received = fault["input"]
    if fault["type"] == "string_type" and not isinstance(received, list | dict):
        # Where nothing stands behind the key, quotes are no help.
        return received is not None or len(fault["loc"]) > 1
    return key in FOLDER_KEYS and any(not isinstance(one, str | None) for one in _scalars(received))


def _scalars(value: Any) -> Iterator[Any]:
    """The values in lists and dicts, keys included, or the value itself."""
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple | set):
        for inner in value:
            yield from _scalars(inner)
    else:
        yield value


def _is_broken(value: Any) -> bool:
    """Whether a text in it cannot be a name in any file system, nor be printed."""
    texts = (text for text in _scalars(value) if isinstance(text, str))
    return any("\0" in text or re.search("[\ud800-\udfff]", text) for text in texts)


def _unknown(key: str) -> str:
    name = key.removeprefix("augmentation.")
    known = list((Config if name == key else Augmentation).model_fields)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"no such key; did you mean {near[0]}?" if near else f"no such key; known: {known}"


def _rules(config: Config) -> Iterator[tuple[str, bool, str]]:
    """Of settings that may clash: their names, first the one to report; if they do; the problem."""
    network, turns = find_network(config.model), config.augmentation.quarter_turns
    for key in ("image_size", "progressive_size"):
        if size := list(getattr(config, key) or ()):
            problem = f"quarter_turns need a square; received {size}"
            yield f"{key} augmentation", turns and size[0] != size[1], problem
            least = f"sides of at least {network.smallest_side} pixels"
            problem = f"{config.model} needs {least}; received {size}"
            yield f"{key} model", min(size) < network.smallest_side, problem
    yield from _rules_of_progressive(config)
    problem = f"imagenet is for model {PREFIX}NAME; received model {config.model}"
    is_theirs = config.model.startswith(PREFIX)
    yield "init_weights model", config.init_weights == IMAGENET and not is_theirs, problem
    labels, size = list(config.labels), list(config.image_size)
    is_detector = config.model == DETECTOR
    problem = f"is for model {DETECTOR}; received model {config.model}"
    yield "composed_of model", config.composed_of is not None and not is_detector, problem
    problem = f"a detector needs equal sides, multiples of {MULTIPLE}; received {size}"
    is_wrong = is_detector and (size[0] != size[1] or size[0] % MULTIPLE > 0)
    yield "image_size model", is_wrong, problem
    problem = f"expected one of {labels}; received {show(config.positive_label)}"
    yield "positive_label labels", config.positive_label not in (None, *labels), problem
    problem = f"quarter turns need a square image_size; received {size}"
    yield "tta image_size", config.tta and size[0] != size[1], problem
    problem = f"are for two labels; received {len(labels)}"
    yield "teachers labels", bool(config.teachers) and len(labels) > 2, problem
    problem = "early_stopping goes with keep: best; received last"
    yield "keep early_stopping", bool(config.early_stopping) and config.keep == "last", problem
    rule = config.threshold
    problem = f"is for two labels, of more the likeliest is taken; received {show(rule)}"
    yield "threshold labels", rule != 0.5 and len(labels) > 2, problem


def _rules_of_progressive(config: Config) -> Iterator[tuple[str, bool, str]]:
    keys, epochs = "progressive_epochs progressive_size", config.progressive_epochs
    problem = "expected progressive_epochs and progressive_size together, or neither"
    yield keys, bool(epochs) != bool(config.progressive_size), problem
    able = ANY_SIZE.replace(", ", " or ")
    problem = f"expected model {able}, which take any size; received {config.model}"
    yield f"{keys} model", epochs > 0 and not find_network(config.model).any_size, problem
