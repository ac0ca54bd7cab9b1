"""Checks, before TensorFlow loads it, that an untrusted SavedModel only computes.

A SavedModel is a program: its operations can read and write any file. While loading,
`tf.saved_model.load` runs functions that the object graph names for making and restoring resources,
and afterwards any function that a caller calls. So all functions in the file must consist of the
operations below. Those that write and read checkpoints, which TensorFlow puts into every
SavedModel, are allowed where the loader does not run them: in functions that no object names and
that no such function calls.

This holds for the documented behaviour of operations. A model can still use all memory and time.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfcyclegan.errors import UserError

# Operations that tfcyclegan export uses: collected from exports of every generator, norm, number of
# channels and of the segmenter.
_EXPORTED = """
    AddV2 ArgMax AsString Assert BiasAdd Case Cast ConcatV2 Const Conv2D Conv2DBackpropInput
    DecodeBmp DecodeGif DecodeImage DecodeJpeg DecodePng DecodeRaw EncodePng EnsureShape Equal
    ExpandDims FloorDiv FloorMod FusedBatchNormV3 GatherV2 Greater Identity IgnoreErrorsDataset
    LeakyRelu LeftShift Less LessEqual LogicalAnd MapDataset MatMul Maximum Mean Minimum
    MirrorPad Mul Neg NoOp Pack Pad Prod Range ReadVariableOp RealDiv ReduceDataset Relu Reshape
    ResizeBilinear ReverseV2 Round Rsqrt SelectV2 Shape Size Softmax Split Squeeze
    StatefulPartitionedCall StatelessCase StatelessIf StaticRegexFullMatch StridedSlice
    StringFormat StringJoin StringLength Sub Substr Tanh TensorDataset TensorListFromTensor
    TensorListGetItem TensorListReserve TensorListSetItem TensorListStack Tile Transpose While
"""
# Operations of other generators, which only map tensors to tensors or call another function of the
# file.
_PURE = """
    Abs Add AddN All Any AvgPool BatchMatMulV2 BatchToSpaceND BroadcastArgs BroadcastTo Ceil
    ClipByValue Cos DepthToSpace DepthwiseConv2dNative Einsum Elu Erf Erfc Exp Expm1 Fill Floor
    FusedBatchNorm FusedBatchNormV2 GatherNd GreaterEqual IdentityN If InvertPermutation
    IsFinite LRN Log Log1p LogSoftmax LogicalNot LogicalOr Max MaxPool Min NotEqual OneHot
    OnesLike PadV2 PartitionedCall Placeholder Pow PreventGradient Rank Reciprocal Relu6
    ResizeArea ResizeBicubic ResizeNearestNeighbor Select Selu Sigmoid Sign Sin Slice Softplus
    Softsign SpaceToBatchND SpaceToDepth SplitV Sqrt Square SquaredDifference StatelessWhile
    StopGradient Sum Unpack VarHandleOp Where ZerosLike
"""
# Operations of checkpoints, and those that accompany them.
_SAVER = """
    AssignVariableOp DisableCopyOnRead MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename
    StaticRegexFullMatch StringJoin
"""
COMPUTING = frozenset(_EXPORTED.split()) | frozenset(_PURE.split())
SAVING = frozenset(_SAVER.split())


class Untrusted(UserError):
    """A model that can do more than compute."""


def require_computing_alone(directory: Path) -> None:
    """Raises Untrusted unless the SavedModel in `directory` only computes, whatever is loaded and
    called.

    Raises:
        ValueError: saved_model.pb cannot be read as a SavedModel.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    if (directory / "saved_model.cpb").exists():
        raise _untrusted(directory, "saved_model.cpb holds parts that cannot be checked")
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((directory / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError("saved_model.pb cannot be read") from error
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise _untrusted(directory, "it is not a TensorFlow 2 model, which cannot be checked")
    for strange in _strange_parts(model.meta_graphs[0]):
        raise _untrusted(directory, strange)


def _untrusted(directory: Path, reason: str) -> Untrusted:
    return Untrusted(
        f"{directory}: refused, since it may do more than compute: {reason}; if you trust its "
        "author, give --trust_model, which gives it all of your permissions"
    )


def _strange_parts(graph: Any) -> Iterator[str]:
    """All unknown parts of a MetaGraphDef, in words."""
    library = graph.graph_def.library.function
    functions = {function.signature.name: function for function in library}
    if len(functions) < len(library):
        yield "two functions have the same name"
    called = _called(functions, _named_by_objects(graph.object_graph_def))
    for name, function in functions.items():
        allowed = COMPUTING if name in called else COMPUTING | SAVING
        yield from (
            f"function {name} holds {strange}"
            for strange in _strange_nodes(function.node_def, allowed)
        )
        if "api_implements" in function.attr:
            yield (
                f"function {name} has api_implements, by which TensorFlow puts another in its place"
            )
    yield from (
        f"the graph holds {strange}" for strange in _strange_nodes(graph.graph_def.node, COMPUTING)
    )


def _strange_nodes(nodes: Any, allowed: frozenset[str]) -> Iterator[str]:
    from tensorflow.core.framework import types_pb2

    for node in nodes:
        if node.op not in allowed:
            yield f"the operation {node.op}"
        # constants of these types use their own decoders, for arbitrary content
        values = (
            value
            for value in _values(node.attr.values())
            for value in (value.tensor, *value.list.tensor)
        )
        if any(value.dtype in (types_pb2.DT_VARIANT, types_pb2.DT_RESOURCE) for value in values):
            yield f"{node.op} with a constant variant or resource"


def _values(attributes: Iterable[Any]) -> Iterator[Any]:
    """All attributes of a node, including those that it passes on to functions."""
    for attribute in attributes:
        yield attribute
        for function in (attribute.func, *attribute.list.func):
            yield from _values(function.attr.values())


def _named_by_objects(object_graph: Any) -> set[str]:
    """Names of all functions that the loader may return to a caller or run itself."""
    named = set(object_graph.concrete_functions)
    for node in object_graph.nodes:
        named.update(node.function.concrete_functions)
        named.update(
            (
                node.bare_concrete_function.concrete_function_name,
                node.captured_tensor.concrete_function,
            )
        )
    return named


def _called(functions: dict[str, Any], roots: set[str]) -> set[str]:
    """`roots` and the functions that they call, directly or not: through an attribute, or as an
    operation of their name.
    """
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name not in functions:
            continue
        found.add(name)
        for node in functions[name].node_def:
            waiting.append(node.op)
            for attribute in _values(node.attr.values()):
                waiting += [
                    attribute.func.name,
                    *(function.name for function in attribute.list.func),
                ]
    return found
