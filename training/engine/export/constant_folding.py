"""Work out what an exported graph computes from constants alone, as the exporter leaves it to the runtime.

The runtime does so too late: it finds the bias of a convolution still being cast and expanded when it looks for
layers to fuse, and runs batch norms and activations on their own, in half as many images a second.
"""

from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    import onnx_ir

MOST_NUMBERS = 65_536  # of a folded tensor; a larger one would only make the file larger


def fold_constants(model: onnx.ModelProto) -> None:
    """Put constants in the place of nodes that always give the same.

    Initializers count for their shapes only: they are a network's weights, and others may be poured in.
    """
    from onnxscript import optimizer

    weights = {one.name for one in model.graph.initializer}

    def may_fold(node: "onnx_ir.Node") -> bool | None:
        reads_weights = any(value is not None and value.name in weights for value in node.inputs)
        return False if reads_weights and node.op_type != "Shape" else None

    optimizer.fold_constants(model, should_fold=may_fold, output_size_limit=MOST_NUMBERS)
    optimizer.remove_unused_nodes(model)
