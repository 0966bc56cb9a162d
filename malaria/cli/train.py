"""train: train a network on a folder of labelled images, as config.yaml says, and save it."""
# ruff: noqa: RUF009  option() declares a field, as dataclasses.field() does

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from malaria.base.errors import UsageError
from malaria.base.text import printable
from malaria.cli import values
from malaria.cli.command import make_parser, option
from malaria.data.splits import Folds
from malaria.model import DETECTOR
from malaria.settings.config import Config
from malaria.settings.config_file import read_config
from malaria.settings.config_reference import config_yaml, setting_names

DESCRIPTION = "Train a network on a folder of labelled images, as config.yaml says, and save it."
EXAMPLES = f"""examples:
  python train.py --config=config.yaml
  python train.py --config=config.yaml --check
  python train.py --config=configs/original.yaml --set epochs=3 --set augmentation.rotation=10
  python train.py --config=configs/compact.yaml --folds=5
  python train.py --config=configs/compact.yaml --folds=5 --cluster=auto
  python train.py --config=config.yaml --resume        after Ctrl-C or a crash
  python train.py --config=config.yaml --workers=a:2222,b:2222 --worker=0     on a; 1 on b
  python train.py --print_config > my.yaml             every setting with its meaning

settings for --set, which --print_config explains:
{setting_names()}
"""
# They say, as --workers does, that this process is one of several.
WORKERS_VARIABLES = ("TF_CONFIG", "SLURM_STEP_NUM_TASKS")


@dataclass(frozen=True)
class Options:
    """The command line of train.py, parsed."""

    config: str = option("settings, YAML (default: %(default)s)", default="config.yaml")
    set: list[str] = option(
        "override one setting", action="append", default=[], metavar="KEY=VALUE"
    )
    check: bool = option("say what would be trained; train nothing")
    resume: bool = option("go on with an interrupted run of these settings")
    folds: Folds = option(
        "cross-validate: K networks, each judged on patients (or images) it never saw; source: "
        "one for each folder of train_images, judged on that folder",
        type=values.folds,
        default=1,
        metavar="K",
    )
    workers: str | None = option(
        "train on several machines: the addresses of all, the same on each; the first one writes. "
        "TF_CONFIG and a step of Slurm say it too",
        metavar="HOST:PORT,...",
    )
    worker: int | None = option("which of them this is, from 0", type=int, metavar="N")
    cluster: str | None = option(
        "with --folds: train the parts side by side on a Ray cluster: auto (the one that runs here "
        "or that RAY_ADDRESS names, else one started here), local (started here) or its HOST:PORT",
        type=values.cluster,
        metavar="ADDRESS",
    )
    print_config: bool = option(
        "print every setting with its default and its meaning, and do nothing else"
    )
    debug: bool = False


def main(arguments: Sequence[str]) -> None:
    """Train, or only check, as the command line says; print what came of it."""
    options = parse(arguments)
    if options.print_config:
        print(config_yaml(), end="")
        return
    config = read_config(options.config, options.set, with_data=True)
    if options.workers is not None and (options.check or options.folds != 1):
        raise UsageError("--workers: train one network; expected neither --check nor --folds")
    if config.model == DETECTOR and options.folds != 1:
        raise UsageError(
            "--folds: is for networks that classify; for model: detector train once for each "
            "laboratory, without its entry of train_images, and judge with run.py --fields "
            "--evaluate"
        )
    if options.cluster is not None and (options.check or options.folds == 1):
        raise UsageError(
            "--cluster: trains the parts of --folds side by side; expected --folds=K, no --check; "
            "to train one network on several machines there is --workers"
        )
    # TensorFlow takes seconds to import; mistakes in the settings are reported without it.
    if options.check:
        from malaria.training.dry_run import dry_run

        for line in dry_run(config, folds=options.folds):
            print(line, flush=True)
    elif options.folds != 1:
        _cross_validate(config, options)
    else:
        _train(config, options)


def parse(arguments: Sequence[str]) -> Options:
    """The Options of a command line. Raises UsageError."""
    parser = make_parser(Options, "train.py", DESCRIPTION, EXAMPLES)
    return Options(**vars(parser.parse_args(arguments)))


def _cross_validate(config: Config, options: Options) -> None:
    from malaria.training.cross_validation import cross_validate

    ask = partial(cross_validate, config, options.folds, resume=options.resume)
    if options.cluster is None:
        found = ask()
    else:
        from malaria.cluster.connect import connected
        from malaria.cluster.folds import run_on_cluster

        with connected(options.cluster):
            found = ask(elsewhere=run_on_cluster)
    print(found.text, f"\nall metrics and networks: {printable(found.folder)}/", sep="\n")


def _train(config: Config, options: Options) -> None:
    if options.workers or any(name in os.environ for name in WORKERS_VARIABLES):
        # At the end of another worker TensorFlow prints a page; we have a line for it.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from malaria.evaluation.format import describe
    from malaria.evaluation.result import Result
    from malaria.training.trainer import train, train_as_worker
    from malaria.training.workers import find_workers

    workers = find_workers(options.workers, options.worker)
    if workers is not None and not workers.is_chief:
        train_as_worker(config, workers, resume=options.resume)
        return
    result = train(config, resume=options.resume, workers=workers)
    assert result.model is not None, "a finished training has saved its model"
    text = describe(result) if isinstance(result, Result) else result.text
    print(text, f"\nmodel: {printable(result.model)}", sep="\n")
    print(f"metrics: {printable(result.model.with_suffix(''))}/")
