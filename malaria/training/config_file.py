"""settings: a Config from a YAML file and --set overrides, or all that is wrong with them."""

from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import ValidationError

from malaria.base.errors import UsageError, printable
from malaria.training.config import ANY_SIZE, Augmentation, Config

MAX_CONFIG_BYTES = 1_000_000
# No network of config.ANY_SIZE works on less.
SMALLEST_SMALL = 16


class _Loader(yaml.SafeLoader):
    """Refuses aliases, with which a short text could grow without end."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            line = event.start_mark.line + 1
            raise yaml.YAMLError(f"an alias, *{event.anchor}, in line {line} is not taken here")
        return super().compose_node(parent, index)


def read_config(path, overrides=(), find_problems=None):
    """The Config in the YAML file `path`, changed by `overrides`, each "key=value".

    `find_problems(config)` looks at the data and returns {key: problem}; it is asked only if the
    folder and the labels are valid. Raises UsageError with every problem at once.
    """
    values, origins = _read_yaml(Path(path))
    for override in overrides:
        _override(values, origins, override)
    config, problems = _validate(values)
    wrong = {key.partition(".")[0] for key in problems}
    problems |= dict(_contradictions(config, wrong))
    if find_problems is not None and not wrong & {"train_images", "labels"}:
        problems = find_problems(config) | problems
    if problems:
        raise UsageError(_message(problems, origins, path))
    return config


def _read_yaml(path):
    """The values in the file, and {dotted key: where it stands}. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise UsageError(f"{path}: more than {MAX_CONFIG_BYTES:,} bytes, no config")
        text = content.decode("utf-8")
        node = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)
    except OSError as error:
        raise UsageError(f"cannot read the config {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise UsageError(f"{path} is not YAML: {_reason(error)}") from None
    if not isinstance(values, dict | None):
        raise UsageError(f"{path}: expected lines of 'key: value', received {_short(values)}")
    return {str(key): value for key, value in (values or {}).items()}, _origins(node, path)


def _reason(error):
    """What PyYAML says, in one line and without its name for a text."""
    text = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ")
    return printable(text[:300])


def _origins(node, path, prefix=""):
    """{dotted key: "file, line n"}. Raises UsageError for a key that stands twice."""
    origins = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{prefix}{key.value}"
        where = f"{path}, line {key.start_mark.line + 1}"
        if name in origins:
            raise UsageError(f"{where}: {printable(name)} stands twice, first in {origins[name]}")
        origins[name] = where
        # One level is all the settings have; deeper, aliases could make it grow without end.
        if not prefix:
            origins |= _origins(value, path, prefix=f"{name}.")
    return origins


def _override(values, origins, override):
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {printable(override)}: expected key=value")
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        raise UsageError(f"--set {printable(override)}: the value is not YAML") from None
    group, dot, name = key.partition(".")
    if dot:
        inner = values.get(group) if isinstance(values.get(group), dict) else {}
        value = inner | {name: value}
    values[group] = value
    origins[key] = origins[group] = "--set"


def _validate(values):
    """A Config of the valid values, defaults for the others, and {dotted key: problem}."""
    try:
        return Config(**values), {}
    except ValidationError as error:
        faults = error.errors(include_url=False)
    problems = {}
    for fault in faults:
        key = ".".join(str(part) for part in fault["loc"][:2] if isinstance(part, str))
        key = key if key.split(".")[0] == "augmentation" else str(fault["loc"][0])
        problems.setdefault(key, _explain(key, fault, values))
    wrong = {key.partition(".")[0] for key in problems}
    return Config(**{key: value for key, value in values.items() if key not in wrong}), problems


def _explain(key, fault, values):
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
    return f"{allowed[0].lower()}{allowed[1:]}{hint}; received {_short(received)}"


def _unknown(key):
    group, _, name = key.rpartition(".")
    known = list((Augmentation if group else Config).model_fields)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"no such key; did you mean {near[0]}?" if near else f"no such key; known: {known}"


def _contradictions(config, wrong):
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
            f"expected one of {list(config.labels)}; received " + _short(config.positive_label),
        )
    if config.tta and height != width:
        yield "tta", f"quarter turns need a square image_size; received [{height}, {width}]"
    yield from _contradictions_of_small(config, turns, wrong)
    if config.schedule == "fine_tune" and config.model != "xresnet34" and "model" not in wrong:
        yield "schedule", f"fine_tune is for xresnet34; received model {config.model}"
    if config.early_stopping and config.keep == "last":
        yield "keep", "early_stopping goes with keep: best; received last"
    if isinstance(config.threshold, str) and len(config.labels) > 2 and "labels" not in wrong:
        yield "threshold", f"a rule is for two labels; received {_short(config.threshold)}"


def _contradictions_of_small(config, turns, wrong):
    """Pairs (key, problem) of the settings of epochs with smaller images."""
    if wrong & {"small_epochs", "small_size", "model"}:
        return
    if bool(config.small_epochs) != (config.small_size is not None):
        yield "small_epochs", "expected small_epochs and small_size together, or neither"
    elif config.small_epochs and config.model not in ANY_SIZE:
        able = " or ".join(ANY_SIZE)
        yield "small_epochs", f"expected model {able}, which take any size; received {config.model}"
    elif config.small_epochs:
        height, width = config.small_size
        if turns and height != width:
            yield "small_size", f"quarter_turns need a square; received [{height}, {width}]"
        if min(height, width) < SMALLEST_SMALL:
            yield "small_size", f"expected at least {SMALLEST_SMALL}; received [{height}, {width}]"


def _message(problems, origins, path):
    order = [*origins, *problems]
    lines = [
        f"{origins.get(key, path)}: {printable(key)}: {problems[key]}"
        for key in sorted(problems, key=order.index)
    ]
    if len(lines) == 1:
        return lines[0]
    return f"{len(lines)} problems in the settings\n" + "\n".join(f"  {line}" for line in lines)


def _short(value):
    text = printable(repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
