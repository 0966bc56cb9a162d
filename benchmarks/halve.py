#!/usr/bin/env python3
"""A pair of about half the size: its weights rounded to float16, its .h5 compressed.

    python benchmarks/halve.py --model=models/vgg.h5 --out=smaller/

Keras reads the .h5 as before, for its values are still float32. The .tflite holds the same values
as float16. What that changes of the answers is printed, for random images.
"""

import argparse
import json
import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from malaria.base.files import sha256_of
from malaria.networks.export import to_tflite
from malaria.networks.load_model import load_model
from malaria.saved.metadata import KEY
from malaria.saved.pair import Pair, find_pair, read_architecture


def halve(pair, folder):
    """Write the smaller pair into a folder; return its Pair."""
    folder.mkdir(parents=True, exist_ok=True)
    smaller = Pair.at(folder, pair.architecture.stem)
    architecture = read_architecture(pair)
    with h5py.File(pair.weights) as source, h5py.File(smaller.weights, "w") as target:
        copy_rounded(source, target)
    smaller.tflite.write_bytes(
        to_tflite(
            load_model(smaller, architecture), features="guard" in architecture[KEY], half=True
        )
    )
    architecture[KEY]["weights_sha256"] = sha256_of(smaller.weights)
    architecture[KEY]["tflite_sha256"] = sha256_of(smaller.tflite)
    text = json.dumps(architecture, indent=1, allow_nan=False, ensure_ascii=False)
    smaller.architecture.write_text(text + "\n", encoding="utf-8")
    return smaller


def copy_rounded(source, target):
    """Copy a group of a .h5 with all that is in it."""
    for key, value in source.attrs.items():
        target.attrs[key] = value
    for key, item in source.items():
        if isinstance(item, h5py.Group):
            copy_rounded(item, target.create_group(key))
        else:
            values = item[()]
            if item.dtype.kind == "f":
                values = values.astype(np.float16).astype(item.dtype)
            known = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
            target.create_dataset(key, data=values, **(known if values.ndim else {}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a .h5 with its .json")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the smaller pair")
    options = parser.parse_args()
    pair = find_pair(options.model)
    smaller = halve(pair, options.out)
    models = [load_model(one, read_architecture(one)) for one in (pair, smaller)]
    images = np.random.default_rng(0).random((64, *models[0].input_shape[1:]), np.float32)
    before, after = (model.predict(images, verbose=0) for model in models)
    print(f"largest change of a probability: {np.abs(before - after).max():.2e}")
    for path in (smaller.weights, smaller.tflite):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
