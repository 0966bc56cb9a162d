"""operators: what a stranger's .tflite consists of, read before anything of it runs."""

from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.text import shorten

# What networks for images consist of: no loops, calls or lookups, which could run for ever or fill
# the memory.
OPERATORS = (
    *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "SUB", "MUL"),
    *("DIV", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "REDUCE_MAX", "SUM", "RELU", "RELU6"),
    *("RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "ELU", "HARD_SWISH", "GELU", "TANH", "LOGISTIC"),
    *("SOFTMAX", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CONCATENATION", "PAD", "PADV2", "MAXIMUM"),
    *("MINIMUM", "RSQRT", "SQRT", "SQUARED_DIFFERENCE", "BATCH_MATMUL", "TRANSPOSE", "SHAPE"),
    *("STRIDED_SLICE", "PACK", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "QUANTIZE"),
    *("DEQUANTIZE", "CAST", "EXP", "NEG", "ABS", "POW", "SLICE"),
)


def read_operators(path: Path) -> list[str]:
    """The names of all operators of a .tflite, in order. Raises UserError for a damaged file."""
    try:
        # Tried with 2.1.0 and 2.3.0; without it every .tflite that needs a trial is refused.
        from ai_edge_litert import schema_py_generated as schema

        names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
        model = schema.Model.GetRootAs(path.read_bytes())
        graph = model.Subgraphs(0)
        codes = [model.OperatorCodes(place) for place in range(model.OperatorCodesLength())]
        # The older of the two fields holds the first 127 operators only.
        kinds = [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
        steps = [graph.Operators(place) for place in range(graph.OperatorsLength())]
        return [kinds[step.OpcodeIndex()] for step in steps]
    except Exception as error:
        # A damaged flatbuffer fails in as many ways as it has fields.
        raise UserError(f"cannot read {path}: expected a .tflite: {shorten(error, 200)}") from None


def check_operators(path: Path) -> None:
    """Raise UserError unless a .tflite is a plain network."""
    if unknown := sorted(set(read_operators(path)) - set(OPERATORS)):
        raise UserError(
            f"{path}: expected the operators of a plain network, received {', '.join(unknown[:5])}"
        )
