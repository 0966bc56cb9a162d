#!/usr/bin/env python3
"""Write config.yaml and the tables of settings and options in docs/ from their declarations.

python docs/make_reference.py
"""

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli import options, train
from malaria.cli.command import COMMON, FLAGS
from malaria.settings.config_reference import config_yaml, settings_table

TOP = Path(__file__).parent.parent


def main():
    for path, text in make_all().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(TOP)}")


def make_all():
    """{path: the text that it should have}."""
    training, classifying = TOP / "docs" / "training.md", TOP / "docs" / "classifying.md"
    return {
        TOP / "config.yaml": config_yaml(),
        training: fill(
            fill(training.read_text(encoding="utf-8"), "settings", settings_table()),
            "options",
            options_table(train.Options),
        ),
        classifying: fill(
            classifying.read_text(encoding="utf-8"),
            "options",
            options_table(options.Options),
        ),
    }


def fill(text, name, table):
    """The text with the table between its markers <!-- name --> and <!-- /name -->."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    assert found, f"expected {start} and {end}"
    return f"{before}{start}\n{table}\n{end}{after}"


def options_table(declared):
    """The options that a dataclass declares, and those of every command, as Markdown."""
    declarations = [one for one in dataclasses.fields(declared) if one.metadata]
    rows = [(describe(one), one.metadata["help"] % one.metadata) for one in declarations]
    rows += [(f"`{name}`", meaning) for name, meaning in COMMON.items()]
    head = ["| option | meaning |", "| --- | --- |"]
    return "\n".join([*head, *(f"| {name} | {escape(meaning)} |" for name, meaning in rows)])


def escape(text):
    """A text for a table's cell, in which a bar would begin the next one."""
    return text.replace("|", "\\|")


def describe(one):
    """An option as it is typed: with its value, or with --no-, which turns it off."""
    if one.type not in FLAGS:
        return f"`--{one.name} {one.metadata.get('metavar') or one.name.upper()}`"
    return f"`--{one.name}`" if one.type is bool else f"`--{one.name}`, `--no-{one.name}`"


if __name__ == "__main__":
    main()
