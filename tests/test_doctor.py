"""What `tfcyclegan doctor` says of the machine, against other ways of knowing it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tfcyclegan.system import hardware, tensorflow_setup

tensorflow_setup.import_tensorflow()
import tensorflow as tf  # noqa: E402
from tensorflow.python.profiler import model_analyzer, option_builder  # noqa: E402

from tfcyclegan import diagnosis as doctor  # noqa: E402
from tfcyclegan.networks import Discriminator, make_generator  # noqa: E402


def multiplications(network, side: int) -> float:
    """Of one pass, as TensorFlow's own profiler counts its convolutions."""
    function = tf.function(lambda images: network(images, training=False)).get_concrete_function(
        tf.TensorSpec([1, side, side, 3])
    )
    options = option_builder.ProfileOptionBuilder(
        option_builder.ProfileOptionBuilder.float_operation()
    )
    profile = model_analyzer.profile(
        function.graph, cmd="op", options=options.with_empty_output().build()
    )
    counted = {
        node.name: node.total_float_ops - sum(child.total_float_ops for child in node.children)
        for node in _nodes(profile)
    }
    return sum(count for name, count in counted.items() if name.startswith("Conv2D")) / 2


def _nodes(node):
    return [node, *(found for child in node.children for found in _nodes(child))]


@pytest.mark.parametrize("training", doctor.TRAININGS, ids=lambda training: training.told)
def test_multiplications_are_those_that_tensorflow_counts(training):
    generator = make_generator(f"resnet_{training.blocks}blocks", base_filters=training.filters)
    discriminator = Discriminator(base_filters=training.discriminator_filters)
    # the layers compute edges, too, that they cut off
    assert training.generator_multiplications == pytest.approx(
        multiplications(generator, training.side), rel=0.01
    )
    assert training.discriminator_multiplications == pytest.approx(
        multiplications(discriminator, training.side), rel=0.01
    )


def test_the_papers_step_is_the_known_number():
    assert 2 * doctor.TRAININGS[-1].step_multiplications / 1e12 == pytest.approx(1.88, abs=0.005)


def test_a_larger_training_is_told_to_take_longer():
    small, *_, large = doctor.TRAININGS
    assert (
        0 < 5 * doctor.step_seconds(small, "float32") < doctor.step_seconds(large, "float32") < 600
    )


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (0.05, ("about 0.05 s", "8 min")),
        (2.8, ("about 2.8 s", "8 h")),
        (120.4, ("about 120 s", "14 days")),
    ],
)
def test_times_are_told_in_units_that_can_be_read(step, told):
    assert doctor._told_times(step) == told


def test_the_command_is_quiet_and_tells_what_is_here():
    environment = {**os.environ, "COLUMNS": "160"}
    command = [sys.executable, "-m", "tfcyclegan.cli", "doctor", "--nomeasure"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert tf.__version__ in result.stdout and f"{hardware.cores()} core" in result.stdout
    assert re.search(r"--precision=auto uses (mixed_bfloat16|float32)", result.stdout)
    assert "a step" not in result.stdout and result.stdout.strip().splitlines()[-1].startswith(
        "next: "
    )


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            {"fpu", "avx2"},
            "uses float32: mixed_bfloat16 is slower: without AVX-512 gradients of convolutions "
            "take 7 to 16 times as long as in float32",
        ),
        ({"avx2", "avx512f"}, "uses float32: mixed_bfloat16 works, but gains nothing"),
        (
            {"avx2", "avx512f", "avx512_bf16"},
            "uses mixed_bfloat16: faster and smaller than float32",
        ),
        # a system that does not tell
        (set(), "uses float32: mixed_bfloat16 works, but gains nothing"),
    ],
)
def test_what_bfloat16_costs_is_told(flags, told, monkeypatch):
    monkeypatch.setattr(hardware, "cpu_flags", lambda: flags)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    assert any(told in row[2] for row in doctor._devices() if row[0] == "bfloat16")


def test_missing_extras_are_told_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(doctor, "_is_installed", lambda name: name != "kserve")
    rows = {name: (here, told) for name, here, told in doctor._extras()}
    assert rows["extra serve"] == (
        "no",
        "for tfcyclegan serve: pip install 'tfcyclegan[serve]' installs kserve",
    )
    assert rows["extras"][0] == "demo, pytorch, beam, spark, bench"


def test_memory_is_told_within_a_containers_limits(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text(
        "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:   600 kB\nHugePages_Total:       "
        "0\n"
    )
    monkeypatch.setattr(hardware, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(hardware, "_CGROUP", tmp_path)
    assert hardware.memory() == (600 * 1024, 1000 * 1024)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1024\n")
    assert hardware.memory() == (600 * 1024, 1000 * 1024)
    (tmp_path / "memory.max").write_text(f"{500 * 1024}\n")
    assert hardware.memory() == (499 * 1024, 500 * 1024)
    (tmp_path / "memory.current").write_text(f"{480 * 1024}\n")
    (tmp_path / "memory.stat").write_text(
        f"anon {100 * 1024}\nfile {380 * 1024}\ninactive_file {300 * 1024}\n"
    )
    assert hardware.memory() == (320 * 1024, 500 * 1024), "cached files are given back"
    (tmp_path / "memory.stat").write_text(f"inactive_file {481 * 1024}\n")
    assert hardware.memory() == (500 * 1024, 500 * 1024), "the counters are read one by one"
    monkeypatch.setattr(hardware, "_MEMINFO", tmp_path / "no such file")
    assert hardware.memory() is None


def test_a_processor_is_read_from_the_system(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 2\nflags\t\t: fpu avx2 amx_bf16\nprocessor\t: "
        "1\nmodel name\t: x\n"
    )
    monkeypatch.setattr(hardware, "_CPUINFO", tmp_path / "cpuinfo")
    assert (hardware.processor(), hardware.cpu_flags()) == (
        "Some CPU @ 2",
        {"fpu", "avx2", "amx_bf16"},
    )
    monkeypatch.setattr(hardware, "_CPUINFO", tmp_path / "no such file")
    assert hardware.processor() != "Some CPU @ 2" and hardware.cpu_flags() == set()


def test_the_disk_of_a_place_that_is_not_yet_there(tmp_path):
    assert (
        hardware.disk(tmp_path / "runs" / "mine").total == hardware.disk(Path(tmp_path)).total > 0
    )
