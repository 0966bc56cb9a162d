"""arithmetic: the operations between layers that `preprocess_input` leaves in a network's graph.

Scale and shift by numbers, and the channels in another order; whatever else a file asks for is
refused.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.backend import keras
from malaria.networks.vocabulary import OPERATIONS, OPERATIONS_MODULE, REORDERINGS

# Numbers for each channel.
MAX_NUMBERS = 16
# What Keras 2 names in place of a layer where the first operand is a number.
NUMBER = "_CONSTANT_VALUE"
# A function from ["name of a layer", which of its calls, ...] to its output.
Find = Callable[[list[Any]], Any]


def is_arithmetic(entry: dict[str, Any]) -> bool:
    """True for an operation on tensors or numbers, which is no layer."""
    name, [node, *_] = entry["class_name"], entry["inbound_nodes"] or [None]
    has_two = isinstance(node, dict) and len(node["args"]) == 2
    return name in ("TFOpLambda", "SlicingOpLambda", *REORDERINGS) or (
        has_two and entry.get("module") in (None, OPERATIONS_MODULE)
    )


def sources_of(value: Any) -> list[list[Any]]:
    """[[name, which call, ...], ...] of the layers in the arguments of either Keras."""
    if _is_named(value):
        return [] if value[0] == NUMBER else [value]
    if isinstance(value, list):
        return [source for one in value for source in sources_of(one)]
    is_tensor = isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"
    return [value["config"]["keras_history"]] if is_tensor else []


def _is_named(value: Any) -> bool:
    """True for ["name of a layer", which call, which output, ...], as Keras 2 writes a tensor."""
    return isinstance(value, list) and len(value) > 2 and isinstance(value[0], str)


def compute(entry: dict[str, Any], find: Find) -> Any:
    """The output of the operation. Raises UserError for one that is not known."""
    [node] = entry["inbound_nodes"]
    if isinstance(node, dict):
        name, settings = entry["class_name"], entry["config"]
        operands = [_operand(one, find) for one in node["args"]]
        if name == "Stack" and settings.get("axis") == -1:
            return keras.ops.stack(operands[0], axis=-1)
    else:
        *_, settings = node
        name = entry["config"]["function"]
        added = settings.get("y", settings.get("bias", settings.get("slice_spec")))
        first = node[2] if node[0] == NUMBER else find(node)
        operands = [first, _operand(added, find)]
    if name in ("Cast", "cast") and "float" in str(settings.get("dtype")):
        return operands[0]  # all is float32 here
    if name in REORDERINGS:
        return _pick(operands, entry)
    if name not in OPERATIONS:
        raise UserError(f"expected plain Keras layers, received the operation {quote(name)}")
    if not all(isinstance(one, (int, float, np.ndarray, keras.KerasTensor)) for one in operands):
        raise UserError(f"the operation {quote(entry['name'])} takes more than tensors and numbers")
    return OPERATIONS[name](*operands)


def _operand(value: Any, find: Find) -> Any:
    """A tensor, a number, numbers, or a list of tensors; None for anything else."""
    if sources := sources_of(value):
        tensors = [find(source) for source in sources]
        return tensors if isinstance(value, list) and not _is_named(value) else tensors[0]
    if isinstance(value, dict) and value.get("class_name") == "__tensor__":
        value = value["config"]["value"]
    if isinstance(value, list) and not any(isinstance(one, dict) for one in value):
        numbers = np.array(value, np.float32)
        return numbers if numbers.size <= MAX_NUMBERS else None
    return value


def _pick(operands: list[Any], entry: dict[str, Any]) -> Any:
    """One channel, or all of them in the reverse order; of what Keras calls `images[..., key]`."""
    image, *keys = operands
    key = keys[0] if keys and isinstance(keys[0], list) else []
    is_last = len(key) == 2 and key[0].get("class_name") == "__ellipsis__"
    channel = key[1] if is_last else None
    if type(channel) is int and -4 < channel < 4:
        return image[..., channel]
    if channel == {"start": None, "stop": None, "step": -1}:
        return image[..., ::-1]
    raise UserError(f"the operation {quote(entry['name'])} is not the choice of one channel")
