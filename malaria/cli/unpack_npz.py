"""unpack_npz: the command that makes folders of images from an .npz, as MedMNIST has them."""

from collections.abc import Sequence
from pathlib import Path

from malaria.base.text import printable
from malaria.cli.command import Parser, add_common
from malaria.cli.values import names
from malaria.data.arrays import write_images


def main(arguments: Sequence[str]) -> None:
    """Unpack as the command line says, and print how many."""
    parser = Parser(
        prog="python -m malaria unpack",
        description="Unpack the images of an .npz into DIR/train, DIR/val and DIR/test, a folder "
        "for each label.",
        epilog="example: python -m malaria unpack bloodmnist.npz --out blood",
    )
    parser.add_argument("file", metavar="FILE.npz", type=Path, help="with train_images and so on")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--labels",
        metavar="A,B",
        type=names,
        help="names of labels 0, 1, ... (default: the numbers)",
    )
    add_common(parser)
    options = parser.parse_args(arguments)
    count = write_images(options.file, options.out, options.labels)
    print(f"wrote {count:,} images into {printable(options.out)}")
