"""config_reference: config.yaml and the table of settings for docs, made from the declarations."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from malaria.settings.config import Config
from malaria.settings.declare import extra_of

HEADER = """\
# Every setting of a training. Keys left out keep the value shown here; --set key=value overrides.
# Paths are relative to the folder from which train.py is started.
"""
# Meanings begin in this column of config.yaml.
COLUMN, WIDTH = 38, 100
# A bar within a cell of a table.
BAR = "\\|"
# Words for the limits in a JSON schema.
BOUNDS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}


def config_yaml() -> str:
    """The text of config.yaml: every setting with its default and its meaning."""
    lines = []
    for name, field, value, _ in _settings(Config()):
        if section := extra_of(field, "section"):
            lines.append(f"\n# {section}")
        group, _, key = name.rpartition(".")
        entry = f"  {key}:" if group else f"{key}:"
        if not isinstance(value, BaseModel):
            entry += f" {to_yaml(value)}"
        first, *others = textwrap.wrap(field.description or "", WIDTH - COLUMN - 2)
        lines.append(f"{entry:<{COLUMN}}# {first}")
        lines += [f"{'':<{COLUMN}}# {line}" for line in others]
    return HEADER + "".join(f"{line}\n" for line in lines)


def settings_table() -> str:
    """The settings as a table in Markdown: name, default, what is allowed, meaning."""
    lines = ["| setting | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for name, field, value, schema in _settings(Config()):
        if isinstance(value, BaseModel):
            continue
        group, dot, _ = name.rpartition(".")
        was = extra_of(field, "was")
        former = f" (formerly `{group}{dot}{was}`)" if was else ""
        cells = f"`{name}`", f"`{to_yaml(value)}`", allowed(schema), f"{field.description}{former}"
        lines.append(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |")
    return "\n".join(lines)


def setting_names() -> str:
    """The names of all settings, wrapped for --help."""
    names = [name for name, _, value, _ in _settings(Config()) if not isinstance(value, BaseModel)]
    return textwrap.indent(textwrap.fill(", ".join(names), WIDTH - 2), "  ")


def _settings(
    group: BaseModel, prefix: str = ""
) -> Iterator[tuple[str, FieldInfo, Any, dict[str, Any]]]:
    """Every setting, a group of them before its own: dotted name, field, default, JSON schema."""
    schemas = group.model_json_schema()["properties"]
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        yield f"{prefix}{name}", field, value, schemas[name]
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{name}.")


def allowed(schema: dict[str, Any]) -> str:
    """The values that a setting may have, in words, from its JSON schema."""
    if "allowed" in schema:
        return str(schema["allowed"])
    if "anyOf" in schema:
        return ", or ".join(allowed(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(to_yaml, schema["enum"]))
    if "prefixItems" in schema:
        return f"two: {allowed(schema['prefixItems'][0])}"
    kind = {"integer": "whole number", "string": "text", "array": "list of texts"}
    name = kind.get(schema["type"], schema["type"]).replace("boolean", "true, false")
    bounds = [f"{word} {schema[key]:.10g}" for key, word in BOUNDS.items() if key in schema]
    return " ".join([name, " and ".join(bounds)]).strip()


def to_yaml(value: Any) -> str:
    """A default as it stands in YAML, on one line."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(to_yaml, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
