"""config_check: a Config from plain values, or all that is wrong with them."""

import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from malaria.base.errors import UsageError
from malaria.base.text import shorten
from malaria.data.training_folders import find_problems
from malaria.model import NETWORKS
from malaria.pictures.folders import find_images
from malaria.pictures.names import KINDS
from malaria.settings.augmentation_settings import Augmentation
from malaria.settings.config import Config

# So many problems are listed; the rest are counted.
LISTED = 30
# {dotted name of a setting: what is wrong with it}.
Problems = dict[str, str]


def make_config(settings: Config | Mapping[str, Any]) -> Config:
    """The Config of these settings, once they and the images that they name are checked.

    settings: a Config, or a dict of its settings; those left out keep their defaults. Raises
    UsageError with every problem at once.
    """
    values = settings.model_dump() if isinstance(settings, Config) else dict(settings)
    config, problems = check(values, data_problems)
    if problems:
        raise UsageError(list_problems(problems))
    return config


def check(
    values: dict[str, Any], find_more: Callable[[Config], Problems] | None = None
) -> tuple[Config, Problems]:
    """A Config of the valid values, defaults for the others, and what is wrong with these.

    find_more: looks at the data; it is asked only if the folder and the labels are valid.
    """
    config, problems = _validate(values)
    wrong = {key.partition(".")[0] for key in problems}
    for key, problem in _contradictions(config, wrong):
        problems.setdefault(key, problem)
    if find_more is not None and not wrong & {"train_images", "labels"}:
        problems = find_more(config) | problems
    return config, problems


def data_problems(config: Config) -> Problems:
    """What is wrong with the folders of images that a Config names."""
    problems = find_problems(config.folders, config.labels, config.train_size)
    for folder in config.not_cells or ():
        if not os.path.isdir(folder) or next(find_images(folder), None) is None:
            problems.setdefault("not_cells", f"no folder {folder} with images: expected {KINDS}")
    return problems


def list_problems(problems: Problems, origins: Mapping[str, str] | None = None) -> str:
    """The problems as one message, a line each. origins: where each setting stands, if known."""
    origins = origins or {}
    order = [*origins, *problems]
    lines = [
        f"{origins.get(key, 'settings')}: {shorten(key, 80)}: {problems[key]}"
        for key in sorted(problems, key=order.index)
    ]
    if len(lines) == 1:
        return lines[0]
    lines, count = lines[:LISTED], len(lines)
    if count > LISTED:
        lines.append(f"and {count - LISTED:,} more")
    return f"{count} problems in the settings\n" + "\n".join(f"  {line}" for line in lines)


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
        key = ".".join(str(part) for part in fault["loc"][:2] if isinstance(part, str))
        key = key if key.split(".")[0] == "augmentation" else str(fault["loc"][0])
        problems.setdefault(key, _explain(key, fault, values))
    # Not by their dots: an unknown key may have some of its own.
    wrong = {fault["loc"][0] for fault in faults}
    return Config(**{key: value for key, value in values.items() if key not in wrong}), problems


def _explain(key: str, fault: Mapping[str, Any], values: dict[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return _unknown(key)
    allowed = fault["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if fault["type"] == "too_short":
        allowed = f"expected at least {fault['ctx']['min_length']} items"
    elif fault["type"] == "too_long":
        allowed = f"expected at most {fault['ctx']['max_length']} items"
    elif fault["type"] == "model_type":
        allowed = "expected lines of 'key: value'"
    received = values.get(key, fault["input"])
    hint = ", put it in quotes" if isinstance(fault["input"], bool) and key == "labels" else ""
    return f"{allowed[0].lower()}{allowed[1:]}{hint}; received {show(received)}"


def _unknown(key: str) -> str:
    name = key.removeprefix("augmentation.")
    known = list((Config if name == key else Augmentation).model_fields)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"no such key; did you mean {near[0]}?" if near else f"no such key; known: {known}"


def _contradictions(config: Config, wrong: set[str]) -> Iterator[tuple[str, str]]:
    """Pairs (key, problem) of settings that are valid one by one but not together.

    In place of the `wrong` keys `config` holds defaults, of which nothing is said.
    """
    height, width = config.image_size
    turns = config.augmentation.quarter_turns and "augmentation" not in wrong
    if turns and height != width:
        yield "image_size", f"quarter_turns need a square; received [{height}, {width}]"
    if config.positive_label is not None and config.positive_label not in config.labels:
        yield (
            "positive_label",
            f"expected one of {list(config.labels)}; received " + show(config.positive_label),
        )
    if config.tta and height != width:
        yield "tta", f"quarter turns need a square image_size; received [{height}, {width}]"
    if "model" not in wrong:
        yield from _contradictions_of_network(config, turns, wrong)
    if config.teachers and len(config.labels) > 2 and not wrong & {"labels", "teachers"}:
        yield "teachers", f"are for two labels; received {len(config.labels)}"
    if config.early_stopping and config.keep == "last":
        yield "keep", "early_stopping goes with keep: best; received last"
    if config.threshold != 0.5 and len(config.labels) > 2 and not wrong & {"labels", "threshold"}:
        yield (
            "threshold",
            f"is for two labels, of more the likeliest is taken; received {show(config.threshold)}",
        )


def _contradictions_of_network(
    config: Config, turns: bool, wrong: set[str]
) -> Iterator[tuple[str, str]]:
    """Pairs (key, problem) of settings that the network does not allow."""
    network = NETWORKS[config.model]
    if min(config.image_size) < network.smallest_side:
        yield (
            "image_size",
            f"{config.model} needs sides of at least {network.smallest_side} pixels; "
            f"received {list(config.image_size)}",
        )
    if not wrong & {"progressive_epochs", "progressive_size"}:
        yield from _contradictions_of_progressive(config, turns)


def _contradictions_of_progressive(config: Config, turns: bool) -> Iterator[tuple[str, str]]:
    """Pairs (key, problem) of the settings of epochs with smaller images."""
    network, size = NETWORKS[config.model], config.progressive_size
    if bool(config.progressive_epochs) != (size is not None):
        yield (
            "progressive_epochs",
            "expected progressive_epochs and progressive_size together, or neither",
        )
    elif size is not None and not network.any_size:
        able = " or ".join(name for name, one in NETWORKS.items() if one.any_size)
        yield (
            "progressive_epochs",
            f"expected model {able}, which take any size; received {config.model}",
        )
    elif size is not None:
        if turns and size[0] != size[1]:
            yield "progressive_size", f"quarter_turns need a square; received {list(size)}"
        if min(size) < network.smallest_side:
            yield (
                "progressive_size",
                f"expected at least {network.smallest_side}; received {list(size)}",
            )
