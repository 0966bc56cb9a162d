"""together: which options of run.py go with which."""

from typing import TYPE_CHECKING

from malaria.base.errors import UsageError
from malaria.outputs.formats import ending_of, holds_boxes

if TYPE_CHECKING:
    from malaria.cli.options import Options

MODELS = "several models"  # not an option, but several values of --model
# {option: (the one that it needs, the message without that)}.
NEEDS = {
    "calibrate": ("save", "--calibrate writes a new model; add --save FILE.h5"),
    "boxes": ("fields", "--boxes tells the cells of --fields; add --fields"),
    "detector": ("fields", "--detector finds the cells of --fields; add --fields"),
    "cells": ("fields", "--cells keeps the cells of --fields; add --fields"),
    "red_cells": ("fields", "--red_cells goes with the parasitaemia of --fields; add --fields"),
    "white_cells": ("fields", "--white_cells goes with the parasitaemia of --fields; add --fields"),
    "resume": ("output", "--resume goes on with an interrupted --output; add --output FILE"),
    MODELS: ("evaluate", "--model: several models are compared with --evaluate; add it"),
}
# {option: those that do not go with it}.
EXCLUDES = {
    "calibrate": "image evaluate fields boxes output report explain plot review cluster",
    "label": "calibrate image evaluate report explain plot cells red_cells white_cells save "
    "cluster resume count_only",
    "fields": "explain plot",
    "red_cells": "white_cells",
    "cluster": "explain boxes",
    MODELS: "calibrate label cluster fields output report explain plot count_only review save",
}
# {option: the message about one of those, where the usual one does not say enough}.
REASONS = {
    "fields": "--{other} is for images of single cells; leave out --fields",
    MODELS: "--{other} goes with one --model; received {models}",
}


def check_together(options: "Options") -> None:
    """Raise UsageError for options of run.py that exclude each other or need another one."""
    given = [name for name, value in vars(options).items() if value not in (None, False, [])]
    if not {"image", "calibrate", "label", "join"} & set(given):
        raise UsageError("the following arguments are required: --image; see run.py --help")
    if len(options.model) > 1:
        given.append(MODELS)
    usual = "--{other} does not go with --{name}; leave one of them out"
    for name, others in EXCLUDES.items():
        for other in others.split():
            if name in given and other in given:
                known = {"name": name, "other": other, "models": len(options.model)}
                raise UsageError(REASONS.get(name, usual).format(**known))
    for name, (needed, message) in NEEDS.items():
        if name in given and needed not in given:
            raise UsageError(message)
    if options.fields and options.evaluate and options.boxes is None:
        raise UsageError(
            "--evaluate compares fields with cells that somebody annotated; add --boxes FILE"
        )
    if options.output and holds_boxes(options.output) and not options.fields:
        raise UsageError(
            f"--output: {ending_of(options.output)} holds the boxes of cells; add --fields, or "
            "name a .csv"
        )
    if isinstance(options.threshold, str) and options.calibrate is None:
        raise UsageError(
            f"--threshold: expected a number from 0 to 1; received {options.threshold}, which "
            "goes with --calibrate"
        )
    if options.cluster and options.engine == "keras":
        raise UsageError("--cluster: its workers answer with LiteRT; leave out --engine=keras")
