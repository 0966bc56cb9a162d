"""main: the commands of the installed package: `python -m malaria`, malaria-train and so on."""

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from malaria import __version__
from malaria.base.errors import UsageError
from malaria.base.signals import end_on_interrupt
from malaria.base.text import quote
from malaria.cli.command import run_script

COMMANDS = {
    "train": "train a network on a folder of labelled images",
    "classify": "classify one image or a folder with a trained model",
    "label": "label cells in the browser, for figures of one's own laboratory",
    "draw": "draw blood cells for a first try",
    "unpack": "make folders of images from an .npz, as MedMNIST has them",
    "doctor": "report what this machine has, and why a GPU is not used",
}
HELP = "\n".join(
    [
        "usage: python -m malaria COMMAND ...\n",
        *(f"  {name:<8}  {meaning}" for name, meaning in COMMANDS.items()),
        "\npython -m malaria COMMAND --help explains a command; --version prints the version.",
    ]
)
# Where the command's function `main` is, if not in the module of the same name.
MODULES = {"classify": "run", "unpack": "unpack_npz"}


def main(arguments: Sequence[str]) -> int | None:
    """Run the command that the first argument names."""
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(HELP)
        return 0
    if name == "--version":
        print(f"malaria {__version__}")
        return 0
    if name not in COMMANDS:
        raise UsageError(
            f"expected one of {', '.join(COMMANDS)}; received {quote(name)}; see python -m malaria "
            "--help"
        )
    command = import_module(f"malaria.cli.{MODULES.get(name, name)}")
    status: int | None = command.main(rest)
    return status


def _run(command: str) -> None:
    end_on_interrupt()
    sys.exit(run_script(main, [command, *sys.argv[1:]]))


# The commands malaria-train and malaria-classify.
train, classify = partial(_run, "train"), partial(_run, "classify")
