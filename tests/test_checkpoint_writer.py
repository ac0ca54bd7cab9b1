"""Checkpoints written beside the training: what they hold is the state of their step, whatever the
training has done since, and what goes wrong is raised.
"""

import concurrent.futures
import threading

import pytest
import tensorflow as tf

from tfcyclegan.errors import RunError
from tfcyclegan.methods.image_pool import ImagePool
from tfcyclegan.training.checkpoint_files import CheckpointFiles, path_of, steps
from tfcyclegan.training.checkpoint_writer import CheckpointWriter, as_checkpoint, copied
from tfcyclegan.training.history import Window


def state():
    pools = [ImagePool(2, (4, 4, 3)), ImagePool(2, (4, 4, 3))]
    weights = [tf.Variable(tf.fill([1000], float(index))) for index in range(3)]
    return {"gen": weights, "step": tf.Variable(7, dtype=tf.int64), "pools": pools} | {
        "window": Window(2)
    }


def read(path):
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_a_copy_is_saved_as_tensorflow_saves_the_state_itself(tmp_path):
    parts = state()
    CheckpointFiles(tf.train.Checkpoint(**parts), tmp_path / "own", keep=1).save(7)
    saved = as_checkpoint(copied(parts))
    CheckpointFiles(tf.train.Checkpoint(**parts), tmp_path / "copy", keep=1).save(7, saved)
    one, other = (read(path_of(tmp_path / name, 7)) for name in ("own", "copy"))
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"  # which also names Python's variables
    assert one.keys() == other.keys() and len(one) == 12 and graph in one
    for name in one.keys() - {graph}:
        assert one[name].dtype == other[name].dtype and (one[name] == other[name]).all(), name
    restored = state()
    tf.train.Checkpoint(**restored).restore(path_of(tmp_path / "copy", 7)).assert_consumed()


def test_what_is_written_is_of_the_step_whatever_comes_after(tmp_path):
    """Each kind of update that a training does to its variables."""
    parts = state()
    values = copied(parts)
    weight, moments = parts["gen"][2], [tf.Variable(tf.zeros([1000])) for _ in range(2)]
    tf.raw_ops.ResourceApplyAdam(
        var=weight.handle, m=moments[0].handle, v=moments[1].handle, beta1_power=0.5, lr=1.0,
        beta2_power=0.9, beta1=0.5, beta2=0.9, epsilon=1e-8, grad=tf.ones([1000]),
    )  # fmt: skip
    parts["gen"][1].assign_add(tf.ones([1000]))
    parts["step"].assign_add(1)
    parts["pools"][0].query(tf.ones([1, 4, 4, 3]), tf.zeros([1]), tf.zeros([1], tf.int64))
    assert weight.numpy()[0] != 2 and parts["pools"][0].images.numpy().any()
    files = CheckpointFiles(tf.train.Checkpoint(**parts), tmp_path, keep=1)
    files.save(7, as_checkpoint(values))
    tf.train.Checkpoint(**parts).restore(path_of(tmp_path, 7)).assert_consumed()
    assert [int(one.numpy()[0]) for one in parts["gen"]] == [0, 1, 2]
    assert int(parts["step"]) == 7 and not parts["pools"][0].images.numpy().any()


def test_one_step_at_a_time_and_one_copy_of_it(tmp_path):
    writer, going_on, copies, order = CheckpointWriter(), threading.Event(), [], []

    def submit(step, name):
        def copy():
            copies.append(step)
            return {"value": tf.zeros([])}

        def write(_):
            going_on.wait(60)
            order.append(name)

        writer.submit(step, copy, write)

    submit(1, "best of 1")
    submit(1, "1")
    writer.check()
    assert copies == [1] and not order, "it does not wait"
    threading.Timer(0.1, going_on.set).start()
    submit(2, "2")
    assert copies == [1, 2] and order[:2] == ["best of 1", "1"]
    writer.wait()
    assert order == ["best of 1", "1", "2"]


def test_what_goes_wrong_is_raised_at_the_next_occasion(tmp_path):
    """As on a full disk."""
    parts = state()
    files = CheckpointFiles(tf.train.Checkpoint(**parts), tmp_path, keep=2)
    files.save(1)

    def fails(_):
        raise RunError("step-2: cannot be written")

    for occasion in ("check", "wait", "submit"):
        writer = CheckpointWriter()
        writer.submit(2, lambda: copied(parts), fails)
        concurrent.futures.wait([writer._pending[0][2]])
        with pytest.raises(RunError, match="step-2: cannot be written"):
            if occasion == "submit":
                writer.submit(3, lambda: copied(parts), fails)
            else:
                getattr(writer, occasion)()
        writer.wait()  # it is told once
    assert steps(tmp_path) == [1]
