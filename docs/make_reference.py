#!/usr/bin/env python3
"""Write config.yaml and the tables of settings and options in docs/ from their declarations.

python docs/make_reference.py
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli import options, train
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
            options_table(train.make_parser()),
        ),
        classifying: fill(
            classifying.read_text(encoding="utf-8"),
            "options",
            options_table(options.make_parser()),
        ),
    }


def fill(text, name, table):
    """The text with the table between its markers <!-- name --> and <!-- /name -->."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    assert found, f"expected {start} and {end}"
    return f"{before}{start}\n{table}\n{end}{after}"


def options_table(parser):
    """The options of a command as a table in Markdown."""
    rows = [
        f"| `{'`, `'.join(describe(action))}` | {explain(parser, action)} |"
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
    ]
    return "\n".join(["| option | meaning |", "| --- | --- |", *rows])


def describe(action):
    """The option as it is typed, with its value."""
    value = f" {action.metavar or action.dest.upper()}" if action.nargs != 0 else ""
    return [name + value for name in action.option_strings]


def explain(parser, action):
    """The help of the option, with its default."""
    formatter = parser._get_formatter()
    return formatter._expand_help(action).replace("|", "\\|")


if __name__ == "__main__":
    main()
