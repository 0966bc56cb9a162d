#!/usr/bin/env python3
"""Train a network on a folder of labelled pictures, as config.yaml says, and save it."""

import sys
from argparse import ArgumentTypeError

from malaria.cli.command import Parser, add_debug, run_script
from malaria.data.dataset import find_problems
from malaria.training.config_file import read_config

EXAMPLES = """examples:
  python train.py --config=config.yaml
  python train.py --config=config.yaml --check
  python train.py --config=configs/original.yaml --set epochs=3 --set augmentation.rotation=10
  python train.py --config=configs/compact.yaml --folds=5
  python train.py --config=config.yaml --resume        after Ctrl-C or a crash
"""


def parse(arguments):
    parser = Parser(description=__doc__, epilog=EXAMPLES)
    add = parser.add_argument
    add("--config", default="config.yaml", help="settings, YAML (default: %(default)s)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override one setting")
    add("--check", action="store_true", help="say what would be trained; train nothing")
    add("--resume", action="store_true", help="go on with an interrupted run of these settings")
    folds_help = "cross-validate: K networks, each judged on patients (or images) it never saw"
    add("--folds", type=folds, default=1, metavar="K", help=folds_help)
    add_debug(parser)
    return parser.parse_args(arguments)


def folds(text):
    if not text.isascii() or not text.isdigit() or not 2 <= int(text) <= 100:
        raise ArgumentTypeError(f"expected a number from 2 to 100; received {text}")
    return int(text)


def main(arguments):
    options = parse(arguments)
    config = read_config(options.config, options.set, find_problems=problems_of_data)
    # TensorFlow takes seconds to import; a mistake in the settings is told without it.
    if options.check:
        from malaria.training.dry_run import check

        for line in check(config, folds=options.folds):
            print(line, flush=True)
        return
    if options.folds > 1:
        from malaria.training.cross_validation import cross_validate

        found = cross_validate(config, options.folds, resume=options.resume)
        print(found.text, f"\nall figures and networks: {found.folder}/", sep="\n")
        return
    from malaria.training.trainer import train

    outcome = train(config, resume=options.resume)
    print(outcome.text, f"\nmodel: {outcome.pair.weights}\nfigures: {outcome.folder}/", sep="\n")


def problems_of_data(config):
    return find_problems(config.train_images, config.labels, config.train_size)


if __name__ == "__main__":
    sys.exit(run_script(main))
