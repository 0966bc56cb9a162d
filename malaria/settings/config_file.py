"""config_file: a Config from a YAML file and --set overrides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from malaria.base.errors import UsageError
from malaria.base.text import printable, shorten
from malaria.settings.augmentation_settings import Augmentation
from malaria.settings.config import Config
from malaria.settings.config_check import check, list_problems, show
from malaria.settings.declare import former_names, rename

MAX_CONFIG_BYTES = 1_000_000
# Python takes seconds for a number of a hundred thousand digits, or refuses it; no setting has one.
MAX_DIGITS, MAX_DEPTH = 100, 20
NUMBERS, TEXT = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float")}, "tag:yaml.org,2002:str"
# {dotted name of a setting: its place in the file or on the command line}.
Origins = dict[str, str]


class _Loader(yaml.SafeLoader):
    """Refuses aliases, with which a short text could grow without end, and lists within lists.

    Long numbers are text.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            where = f"*{event.anchor}, in line {event.start_mark.line + 1}"
            raise yaml.YAMLError(f"an alias, {where} is not taken here")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            line = self.peek_event().start_mark.line + 1
            raise yaml.YAMLError(f"more than {MAX_DEPTH} lists in one another, in line {line}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is not None and node.tag in NUMBERS and len(node.value) > MAX_DIGITS:
            node.tag = TEXT
        return node


def read_config(
    path: Path | str, overrides: Sequence[str] = (), *, with_data: bool = False
) -> Config:
    """The Config in the YAML file `path`, changed by `overrides`, each "key=value".

    with_data: check the images that it names, too. Raises UsageError with every problem at once.
    """
    values, origins = _rename(*_read_yaml(Path(path)))
    for override in overrides:
        _override(values, origins, override)
    config, problems = check(values, with_data=with_data)
    if problems:
        raise UsageError(list_problems(problems, origins, str(path)))
    return config


def _read_yaml(path: Path) -> tuple[dict[str, Any], Origins]:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"cannot read the config {path}: not a regular file")
        with open(path, "rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise UsageError(f"{path}: more than {MAX_CONFIG_BYTES:,} bytes, no config")
        text = content.decode("utf-8")
        node = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)
    except OSError as error:
        raise UsageError(
            f"cannot read the config {path}: {error.strerror}; --print_config prints one with "
            "every setting"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        reason = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ")
        raise UsageError(f"{path} is not YAML: {shorten(reason, 300)}") from None
    if not isinstance(values, dict | None):
        raise UsageError(f"{path}: expected lines of 'key: value', received {show(values)}")
    return {str(key): value for key, value in (values or {}).items()}, _origins(node, path)


def _origins(node: yaml.Node | None, path: Path, prefix: str = "") -> Origins:
    """{setting: "file, line n"}. Raises UsageError for a key that stands twice."""
    origins: Origins = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{prefix}{key.value}"
        where = f"{path}, line {key.start_mark.line + 1}"
        if name in origins:
            raise UsageError(f"{where}: {printable(name)} stands twice, first in {origins[name]}")
        origins[name] = where
        if not prefix:  # one level is all the settings have
            origins |= _origins(value, path, prefix=f"{name}.")
    return origins


def _rename(values: dict[str, Any], origins: Origins) -> tuple[dict[str, Any], Origins]:
    """The same with present names in place of former ones, of which each is logged."""
    values = rename(Config, values)
    if isinstance(group := values.get("augmentation"), dict):
        values["augmentation"] = rename(Augmentation, group)
    former = former_names(Augmentation).items()
    names = {f"augmentation.{was}": f"augmentation.{name}" for was, name in former}
    names |= former_names(Config)
    names = {was: name for was, name in names.items() if name not in origins}
    return values, {names.get(key, key): where for key, where in origins.items()}


def _override(values: dict[str, Any], origins: Origins, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {printable(override)}: expected key=value")
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        raise UsageError(f"--set {printable(override)}: the value is not YAML") from None
    name, dot, inner = key.partition(".")
    if dot:
        [(inner, value)] = rename(Augmentation, {inner: value}).items()
        known = values.get(name)
        value = (known if isinstance(known, dict) else {}) | {inner: value}
    else:
        [(name, value)] = rename(Config, {name: value}).items()
    values[name] = value
    origins[f"{name}{dot}{inner}"] = origins[name] = "--set"
