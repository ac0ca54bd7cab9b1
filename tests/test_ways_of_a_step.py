"""A training step by other ways, which must be the same step: with stages computed again for the
gradients, and compiled by XLA.
"""

import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.methods.cyclegan import CycleGAN, DiscriminatorsFirst
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates


def two_steps(*, recompute=False, jit_compile=False):
    """The losses of two steps in float64 [2, L], the kernels after them (a bias before a norm has
    no gradient but noise), the graph.
    """
    size = {"base_filters": 4, "dtype": "float64"}
    generators = [make_generator("resnet_1blocks", **size, seed=seed) for seed in (1, 2)]
    for generator in generators:
        generator.recompute = recompute
    model = CycleGAN(
        *generators, *(Discriminator(**size, layers=1, seed=seed) for seed in (3, 4)), pool_size=2
    )
    model.compile(
        *(Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in range(2)),
        jit_compile=jit_compile,
    )
    model.make_pools((16, 16, 3), (16, 16, 3))
    random = np.random.default_rng(0)
    step = tf.function(model.train_step, autograph=False)
    losses = []
    for _ in range(2):
        values = step(tuple(tf.constant(random.uniform(-1, 1, (1, 16, 16, 3))) for _ in range(2)))
        losses.append([float(values[name]) for name in CycleGAN.loss_names])
    kernels = [
        w.numpy().ravel()
        for w in model.generator_variables + model.discriminator_variables
        if w.name == "kernel"
    ]
    graph = step.get_concrete_function(
        tuple(tf.TensorSpec([1, 16, 16, 3], tf.float64) for _ in range(2))
    ).graph
    return np.array(losses), np.concatenate(kernels), graph.as_graph_def()


@pytest.fixture(scope="module")
def plain():
    return two_steps()


def convolutions(graph):
    nodes = [
        *graph.node,
        *(node for function in graph.library.function for node in function.node_def),
    ]
    return sum(node.op == "Conv2D" for node in nodes)


@pytest.mark.slow  # CI runs it by itself
def test_recomputing_is_the_same_step_with_more_work(plain):
    losses, kernels, graph = two_steps(recompute=True)
    np.testing.assert_allclose(losses, plain[0], rtol=1e-12)
    np.testing.assert_allclose(kernels, plain[1], rtol=1e-9, atol=1e-12)
    # 6 passes of a generator, in whose 7 stages are 8 convolutions; 2 of them transposed, which
    # are no Conv2D
    assert convolutions(graph) == convolutions(plain[2]) + 6 * 6


@pytest.mark.parametrize("method, waiting", [(CycleGAN, 4), (DiscriminatorsFirst, 2)])
def test_a_part_of_the_losses_waits_for_the_gradients_of_the_one_before(method, waiting):
    """So that memory holds two of the six passes; the golden tests hold that the sum of the parts
    is the official gradient.
    """
    size = {"base_filters": 4}
    networks = [
        *(make_generator("resnet_1blocks", **size) for _ in range(2)),
        *(Discriminator(**size, layers=1) for _ in range(2)),
    ]
    model = method(*networks, pool_size=0)
    model.compile(*(Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in range(2)))
    step = tf.function(model.train_step, autograph=False)
    graph = step.get_concrete_function(tuple(tf.TensorSpec([1, 16, 16, 3]) for _ in range(2))).graph
    names = {image.name for image in graph.inputs}
    images = [
        operation
        for operation in graph.get_operations()
        if operation.type == "Identity" and operation.inputs[0].name in names
    ]
    waits = [len(operation.control_inputs) for operation in images if operation.control_inputs]
    assert len(waits) == waiting  # pictures of the second part and of the third
    assert min(waits) == len(model.generator_variables)


@pytest.mark.slow  # CI runs it by itself
def test_xla_is_the_same_step(plain):
    losses, kernels, _ = two_steps(jit_compile=True)
    np.testing.assert_allclose(losses, plain[0], rtol=1e-10)
    np.testing.assert_allclose(kernels, plain[1], rtol=1e-7, atol=1e-10)


def test_xla_does_not_go_with_discriminators_first():
    model = DiscriminatorsFirst(
        *(make_generator("resnet_1blocks", base_filters=4) for _ in range(2)),
        *(Discriminator(base_filters=4, layers=1) for _ in range(2)),
    )
    with pytest.raises(UserError, match="leave --xla out"):
        model.compile(Adam(), Adam(), jit_compile=True)
