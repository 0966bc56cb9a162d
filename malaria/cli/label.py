"""label: run.py --label: find and classify cells, and serve the page on which they are labelled."""
# ruff: noqa: RUF009  option() declares a field, as dataclasses.field() does

import getpass
import os
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from malaria.base.errors import UsageError, UserError
from malaria.base.files import check_writable
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cli import choose, values
from malaria.cli.command import make_parser, option
from malaria.cli.groups import Groups
from malaria.cli.inputs import Inputs
from malaria.cli.options import Options
from malaria.cli.together import check_together
from malaria.inference.predict import annotate
from malaria.inference.prediction import Prediction
from malaria.outputs.formats import ending_of
from malaria.pictures.cell_in_field import CellInField
from malaria.pictures.remote_path import AnyPath

if TYPE_CHECKING:
    from malaria.labelling.label_server import LabelServer

DESCRIPTION = "Label cells of whole fields, or images of single cells, in the browser."
EXAMPLES = """examples:
  python -m malaria label fields/
  python -m malaria label fields/ --count 400 --who Ana --output ana.csv
  python -m malaria label --join ana.csv ben.csv --output both.csv

The labels are written at each press; started again, it goes on. Ctrl-C ends it.
"""
DEFAULT_TABLE = Path("labels.csv")


@dataclass(frozen=True, kw_only=True)
class LabelOptions(Options):
    """The command line: that of run.py, and what is of labelling alone."""

    count: int = option(
        "how many cells are shown (default: %(default)s)",
        group="labelling",
        type=values.whole,
        default=200,
        metavar="N",
    )
    who: str | None = option(
        "the name that goes beside each label (default: the user's)", metavar="NAME"
    )
    seed: int = option(
        "another one draws other cells (default: %(default)s)",
        type=values.whole,
        default=0,
        metavar="S",
    )
    single_cells: bool = option(
        "the images are single cells, and no fields (default: told by looking at the first)"
    )
    no_browser: bool = option("open no browser; the address is told")
    join: list[Path] | None = option(
        "join the tables of two people into --output, and tell how far they agree; what they call "
        "differently gets no label",
        type=Path,
        nargs=2,
        metavar="CSV",
    )


def parse(arguments: Sequence[str], script: str = "python -m malaria label") -> LabelOptions:
    """The options of a command line. Raises UsageError."""
    parser = make_parser(LabelOptions, script, DESCRIPTION, EXAMPLES)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="as of --label")
    known = vars(parser.parse_intermixed_args(arguments))
    known["label"] = [*known["label"], *known.pop("paths")]
    options = LabelOptions(**known)
    if bool(options.label) == bool(options.join):
        raise UsageError(f"expected fields or cells to label, or --join; see {script} --help")
    if options.fields and options.single_cells:
        raise UsageError("--fields does not go with --single_cells; leave one of them out")
    if options.output and ending_of(options.output) != ".csv":
        raise UsageError(f"--output: expected a .csv; received {printable(options.output)}")
    if options.join and not options.output:
        raise UsageError("--join writes a new table; add --output FILE.csv")
    if not options.count:
        raise UsageError("--count: expected at least 1 cell; received 0")
    check_together(options)
    return options


def main(arguments: Sequence[str], script: str = "python -m malaria label") -> int:
    """Label as the command line says, until Ctrl-C; return 0. Raises UserError, UsageError."""
    options = parse(arguments, script)
    if options.join and options.output:
        from malaria.labelling.join_tables import join_tables

        print(join_tables(options.join[0], options.join[1], options.output))
        return 0
    return label_cells(options)


def label_cells(options: LabelOptions) -> int:
    """Classify all cells, and serve the page until Ctrl-C; return 0."""
    from malaria.labelling.label_server import LabelServer
    from malaria.labelling.label_session import LabelSession
    from malaria.labelling.label_table import read_labels

    table = options.output or DEFAULT_TABLE
    check_writable(table)
    if table.exists():
        read_labels(table)  # a broken one is refused before the work
    predictions, notes, model = _classify(options)
    who = options.who or _find_user()
    session = LabelSession(
        predictions, model, table, who=who, count=options.count, seed=options.seed
    )
    if not session.chosen:
        raise UserError(f"no cells to label: {notes[0] if notes else 'none were found'}")
    notes += session.notes
    for note in notes:
        log(printable(note))
    serve(LabelServer(session, predictions, notes), opens=not options.no_browser)
    log(f"{session.count:,} of {len(session.chosen):,} cells labelled: {printable(table)}")
    return 0


def _find_user() -> str:
    with suppress(KeyError, OSError, ImportError):  # as in a container without users
        return getpass.getuser()
    return "unknown"


def _classify(
    options: LabelOptions,
) -> tuple[list[Prediction], list[str], "choose.Classifier"]:
    """(all predictions with their patients, lines about what was odd, the model)."""
    from malaria.fields.tell_fields import FIRST, look_like_fields

    inputs = Inputs(options.label, options.slice, of_fields=options.fields, option="--label")
    every = inputs.paths()
    first = list(islice(every, FIRST))
    are_fields = options.fields or (not options.single_cells and look_like_fields(first))
    if not options.fields and not options.single_cells:
        kinds = "single cells (else add --fields)", "whole fields (else add --single_cells)"
        log(f"the images are taken for {kinds[are_fields]}")
    options = replace(options, fields=are_fields)
    classifier = choose.open_classifier(options, options.model[0])
    paths: list[AnyPath] = [*first, *every]
    boxes = choose.open_boxes(options, classifier, paths)
    groups = Groups(options, classifier, inputs)
    with choose.open_predictor(options, classifier, boxes) as ask:
        bar = tqdm(paths, unit=" fields" if are_fields else " images", disable=None)
        predictions = list(map(_place, annotate(ask(bar), group_of=groups.find)))
    notes = [*inputs.notes, *groups.notes, *(boxes.notes if boxes else [])]
    return predictions, [*notes, *_describe_failed(predictions)], classifier


def _place(one: Prediction) -> Prediction:
    """The same; of a cell that a table names by its box, with this box in its field."""
    if isinstance(one.path, CellInField):
        return replace(one, path=one.path.field, box=one.path.box)
    return one


def _describe_failed(predictions: Sequence[Prediction]) -> Iterator[str]:
    failed = [one for one in predictions if one.error is not None]
    if failed:
        which = "1 image has" if len(failed) == 1 else f"{len(failed):,} images have"
        yield f"{which} no cells to label, as {failed[0].path}: {failed[0].error}"


def serve(server: "LabelServer", *, opens: bool) -> None:
    """Answer until Ctrl-C. opens: in the browser of this machine, where there is one."""
    with server:
        log(f"label the cells at {server.address} (Ctrl-C ends; labels are kept at each press)")
        if opens and has_screen():
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            server.session.close()


def has_screen() -> bool:
    """Whether a browser can show a window; one in the terminal would hide the address."""
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.platform in ("win32", "darwin") or bool(shown)
