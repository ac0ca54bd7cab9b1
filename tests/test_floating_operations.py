"""The benchmarks' count of operations is that of the convolutions in the graph that training
runs.
"""

import pytest
import tensorflow as tf

from benchmarks.floating_operations import step_operations
from benchmarks.light_generators import multiply_adds
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.networks.convolution import tensorflow_gradients
from tfcyclegan.optimization.adam import Adam


def reached(graph: tf.Graph, outputs: list[tf.Tensor]) -> set[tf.Operation]:
    """What is run for `outputs` and the updates of variables: gradients that nobody asked for are
    not.
    """
    waiting = [tensor.op for tensor in outputs] + [
        op for op in graph.get_operations() if op.type.startswith("ResourceApply")
    ]
    found: set[tf.Operation] = set()
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return found


@pytest.mark.parametrize(
    ("height", "width", "batch", "identity"),
    [(64, 64, 1, True), (48, 96, 2, True), (64, 64, 1, False)],
)
def test_the_step_s_operations(height, width, batch, identity):
    networks = [make_generator("resnet_2blocks", base_filters=4) for _ in range(2)] + [
        Discriminator(base_filters=4) for _ in range(2)
    ]
    model = CycleGAN(*networks, pool_size=0, lambda_identity=0.5 if identity else 0.0)
    model.compile(Adam(), Adam())
    spec = tf.TensorSpec([batch, height, width, 3])
    with tensorflow_gradients():  # on all machines, or some would be matrix products
        traced = tf.function(model.train_step, autograph=False).get_concrete_function((spec, spec))
    ops = reached(traced.graph, list(tf.nest.flatten(traced.structured_outputs)))
    assert 2 * sum(map(multiply_adds, ops)) == step_operations(
        height, width, batch, 2, 4, identity=identity
    )
