#!/usr/bin/env python3
"""The mean of trained networks, weight by weight, with a guard of its own, as a pair.

    python benchmarks/average_weights.py --config=configs/laboratories.yaml --models a.h5 b.h5 \\
        --shares 0.6 0.4 --save=mean.h5

It makes sense of networks of which one began with the weights of the other, or both with those of a
third: then the mean often holds better in a strange laboratory than each (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models", CVPR; "Model soups", ICML). The guard is fitted anew, and
the validation judged, by the config's images. --set overrides a setting, as of train.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from malaria.cli.command import Parser, add_common, run_script
from malaria.evaluation.format import describe
from malaria.inference.load_classifier import load_classifier
from malaria.model import build_model
from malaria.networks.save import save_pair
from malaria.settings.config_file import read_config
from malaria.training import assembly, finish
from malaria.training.checkpoint import Progress


def average(paths, shares, config):
    """The network of the config with the weighted mean of all weights; shares add up to 1."""
    models = [load_classifier(path).load_keras() for path in paths]
    weights = zip(*(model.get_weights() for model in models), strict=True)
    mean = build_model(config.model, image_size=config.image_size, label_count=len(config.labels))
    mean.set_weights([sum(s * w for s, w in zip(shares, ws, strict=True)) for ws in weights])
    return mean


def main(arguments):
    """Write the mean as the command line says."""
    parser = Parser(description=__doc__.splitlines()[0])
    add_common(parser)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--models", nargs="+", required=True, metavar="H5")
    parser.add_argument("--shares", nargs="+", type=float, required=True)
    parser.add_argument("--save", type=Path, required=True, metavar="H5")
    options = parser.parse_args(arguments)
    if len(options.models) != len(options.shares) or abs(sum(options.shares) - 1) > 1e-6:
        parser.error("--shares: expected one for each of --models, which add up to 1")
    config = read_config(options.config, options.set, with_data=True)
    mean, images = average(options.models, options.shares, config), assembly.load(config)
    mean, guard = finish.as_saved(config, images, mean)
    result = finish.evaluate(config, images, mean)
    entries = finish.metadata_entries(config, images, Progress(), result, guard)
    entries["mean_of"] = dict(zip(map(str, options.models), options.shares, strict=True))
    print(describe(result))
    print(save_pair(mean, options.save.parent, options.save.stem, entries).weights)


if __name__ == "__main__":
    sys.exit(run_script(main))
