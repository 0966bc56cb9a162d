"""config_reference: config.yaml and the table of settings for docs, made from the declarations."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from malaria.settings.augmentation_settings import Augmentation
from malaria.settings.config import Config
from malaria.settings.declare import extra_of

HEADER = """\
# Every setting of a training. Keys left out keep the value shown here; --set key=value overrides.
# Paths are relative to the folder from which train.py is started.
"""
# Meanings begin in this column of config.yaml.
COLUMN, WIDTH = 38, 100
# Words for the limits in a JSON schema.
BOUNDS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}


def config_yaml() -> str:
    """The text of config.yaml: every setting with its default and its meaning."""
    return HEADER + "".join(f"{line}\n" for line in _yaml_lines(Config()))


def settings_table() -> str:
    """The settings as a table in Markdown: name, default, what is allowed, meaning."""
    rows = [
        *_rows(Config, Config(), ""),
        *_rows(Augmentation, Config().augmentation, "augmentation."),
    ]
    head = ("| setting | default | allowed | meaning |", "| --- | --- | --- | --- |")
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def setting_names() -> str:
    """The names of all settings, wrapped for --help."""
    names = [name for name in Config.model_fields if name != "augmentation"]
    names += [f"augmentation.{name}" for name in Augmentation.model_fields]
    return textwrap.indent(textwrap.fill(", ".join(names), WIDTH - 2), "  ")


def _yaml_lines(config: Config) -> Iterator[str]:
    for name, field in Config.model_fields.items():
        if section := extra_of(field, "section"):
            yield f"\n# {section}"
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from _commented(f"{name}:", field.description)
            for inner, inner_field in type(value).model_fields.items():
                entry = f"  {inner}: {to_yaml(getattr(value, inner))}"
                yield from _commented(entry, inner_field.description)
        else:
            yield from _commented(f"{name}: {to_yaml(value)}", field.description)


def _commented(entry: str, meaning: str | None) -> Iterator[str]:
    """The entry, and its meaning beside it, wrapped."""
    first, *others = textwrap.wrap(meaning or "", WIDTH - COLUMN - 2)
    yield f"{entry:<{COLUMN}}# {first}"
    for line in others:
        yield f"{'':<{COLUMN}}# {line}"


def _rows(settings: type[BaseModel], values: BaseModel, prefix: str) -> Iterator[list[str]]:
    schemas = settings.model_json_schema()["properties"]
    for name, field in settings.model_fields.items():
        value = getattr(values, name)
        if isinstance(value, BaseModel):
            continue
        was = extra_of(field, "was")
        former = f" (formerly `{prefix}{was}`)" if was else ""
        cells = f"`{prefix}{name}`", f"`{to_yaml(value)}`", allowed(schemas[name])
        yield [cell.replace("|", "\\|") for cell in (*cells, f"{field.description}{former}")]


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
