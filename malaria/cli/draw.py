"""draw: the command that draws cells, or whole fields, for a first try."""

from collections.abc import Sequence

from malaria.base.text import printable
from malaria.cli.command import Parser, add_common
from malaria.data.drawn_cells import write_cells, write_fields
from malaria.data.strange_fields import write_strange_fields


def main(arguments: Sequence[str]) -> None:
    """Draw cells as the command line says, and print how many."""
    parser = Parser(
        prog="python -m malaria draw",
        description="Draw blood cells into DIR/Parasitized and DIR/Uninfected, or whole fields.",
        epilog="example: python -m malaria draw --out drawn --count 200",
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="folder to write into")
    counts = parser.add_mutually_exclusive_group(required=True)
    counts.add_argument("--count", metavar="N", type=int, help="cells per label")
    counts.add_argument("--fields", metavar="N", type=int, help="fields of 63 cells, into DIR")
    counts.add_argument(
        "--strange_fields",
        metavar="N",
        type=int,
        help="fields as of a strange laboratory (bluish, crenated and overlapping cells), with "
        "their true labels in DIR/truth.csv",
    )
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="default %(default)s")
    parser.add_argument("--patients", metavar="P", type=int, default=12, help="default %(default)s")
    add_common(parser)
    options = parser.parse_args(arguments)
    known = {"seed": options.seed, "patients": options.patients}
    if options.strange_fields is not None:
        count = f"{len(write_strange_fields(options.out, options.strange_fields, **known))} fields"
    elif options.fields is not None:
        count = f"{len(write_fields(options.out, options.fields, **known))} fields"
    else:
        cells = write_cells(options.out, options.count, **known)
        count = f"{len(cells)} cells (patients: {min(options.count, options.patients)})"
    print(f"wrote {count} into {printable(options.out)}")
