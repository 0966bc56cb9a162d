"""Tests of benchmarks/imagenet_weights.py: PyTorch's older files are read, and none of them run."""

import importlib.util
import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from malaria.base.errors import UserError

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "benchmarks" / "imagenet_weights.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tensors_of_pytorch_are_read_turned_and_from_the_middle_of_a_storage(script):
    # By PyTorch 2.14: torch.save(OrderedDict(turned=torch.arange(6.).reshape(2, 3).t(),
    # shifted=torch.arange(10.)[4:6], count=torch.tensor(7)), path,
    # _use_new_zipfile_serialization=False)
    tensors = script.read_tensors((HERE / "torch_old.pth").read_bytes())
    found = {name: tensor.tolist() for name, tensor in tensors.items()}
    assert found == {"turned": [[0, 3], [1, 4], [2, 5]], "shifted": [4, 5], "count": 7}
    assert tensors["turned"].dtype == np.float32


@pytest.mark.parametrize("called", [len, io.open, pickle.loads])
def test_a_pickle_that_names_anything_else_is_refused(script, called, capsys):
    class Hostile:
        def __reduce__(self):
            return called, ("never said",)

    with pytest.raises(pickle.UnpicklingError, match="expected tensors only, received"):
        script.read_tensors(pickle.dumps(OrderedDict(weight=Hostile())))
    assert capsys.readouterr().out == ""


def test_another_file_than_the_one_tried_is_refused(script):
    with pytest.raises(UserError, match=r"expected the .pth of SHA-256 5793\w+, received e3b0"):
        script.check(b"")


def test_kernels_are_turned_from_pytorchs_axes_to_those_of_keras(script):
    plain = script._turned("_blocks.1._expand_conv", np.zeros((5, 4, 3, 2)))
    assert plain.shape == (3, 2, 4, 5)
    assert script._turned("_blocks.1._depthwise_conv", np.zeros((5, 1, 3, 2))).shape == (3, 2, 5, 1)
