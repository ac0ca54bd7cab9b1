"""A training step as StableHLO: lowered by TensorFlow, kept in one .npz, compiled and run by JAX.

The module is a portable artifact, which StableHLO promises that newer readers understand, and
reaches XLA by `jax.export`, so that nothing here depends on JAX's inner interfaces.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.floating_operations import step_operations

_ABOUT, _MODULE = "about", "module"
_KINDS = {"f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "i1": "bool"}
_KINDS |= {f"i{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}
_KINDS |= {f"ui{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)}


@dataclass(frozen=True)
class Settings:
    """What was exported."""

    height: int
    width: int
    batch: int
    blocks: int
    filters: int
    precision: str
    pool: int = 0

    @property
    def operations(self) -> int:
        return step_operations(self.height, self.width, self.batch, self.blocks, self.filters)


@dataclass(frozen=True)
class Program:
    """A lowered function of what a step is given and of the state.

    Attributes:
        inputs: types of its inputs in StableHLO's words, such as "4x64x64x3xf32": first what a step
            is given, then the state.
        outputs: types of its outputs.
        updates: by input, the output that is its next value.
        module: StableHLO's portable artifact.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    updates: Mapping[int, int]
    module: bytes


def signature(text: str) -> tuple[list[str], list[str], dict[int, int]]:
    """The inputs, outputs and updates of the function @main in StableHLO's text."""
    entry = next(line for line in text.splitlines() if "func.func" in line and "@main(" in line)
    head = next(line for line in text.splitlines() if line.startswith("module "))
    given, _, made = entry.partition(" -> ")
    updates = re.findall(
        r"parameter_number = (\d+) : i64\}, output_index = array<i64: (\d+)>", head
    )
    return (
        re.findall(r"%arg\d+: tensor<([^>]*)>", given),
        re.findall(r"tensor<([^>]*)>", made),
        {int(parameter): int(output) for parameter, output in updates},
    )


def without_mhlo(text: str) -> str:
    """The text without what is not StableHLO: the module's attributes, and TensorFlow's copies of
    the outputs.
    """
    text = re.sub(r"(?m)^(module \S+) attributes \{.*\} \{$", r"\1 {", text)
    copies = r"mhlo\.copy (%\S+) : (tensor<[^>]*>)"
    return re.sub(copies, r"stablehlo.reshape \1 : (\2) -> \2", text)


def lower(step: Callable[..., Any], *given: Any) -> tuple[Program, list[Any]]:
    """A TensorFlow function that reads and assigns variables, as a function of their values.

    Args:
        step: called with tensors like `given`; returns one tensor.
        given: tensors; their values do not matter.

    Returns:
        The program, and the resource handles of the variables in the order of its state.
    """
    import tensorflow as tf
    from tensorflow.compiler.mlir.stablehlo import stablehlo

    from tfcyclegan.networks.convolution import tensorflow_gradients

    compiled = tf.function(step, jit_compile=True, autograph=False)
    with tensorflow_gradients():
        handles = compiled.get_concrete_function(*given).captured_inputs
    text = compiled.experimental_get_compiler_ir(*given)(stage="stablehlo")
    text = text.decode() if isinstance(text, bytes) else text
    inputs, outputs, updates = signature(text)
    assert len(inputs) == len(given) + len(handles), "the step captures more than variables"
    assert len(outputs) == len(updates) + 1, "the step returns more than one tensor"
    module = stablehlo.serialize_portable_artifact_str(
        without_mhlo(text), stablehlo.get_current_version()
    )
    return Program(tuple(inputs), tuple(outputs), updates, module), handles


def write(path: Path, settings: Settings, program: Program, **more: Any) -> None:
    """Writes a .npz of a program.

    Args:
        path: the file.
        settings: of the step.
        program: the step.
        more: arrays to keep beside it; under "about", further plain JSON values by name.
    """
    about = {
        "settings": asdict(settings),
        "inputs": program.inputs,
        "outputs": program.outputs,
        "updates": list(program.updates.items()),
        **more.pop("about", {}),
    }
    arrays = {
        _ABOUT: np.array(json.dumps(about)),
        _MODULE: np.frombuffer(program.module, np.uint8),
    }
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as stream:
        np.savez_compressed(stream, **arrays, **more)
    partial.replace(path)


@dataclass(frozen=True)
class Package:
    """What `write` wrote; `arrays` reads those beside the program as they are asked for."""

    settings: Settings
    program: Program
    about: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def read(path: Path) -> Package:
    arrays = np.load(path)
    about = json.loads(str(arrays[_ABOUT]))
    updates = {int(parameter): int(output) for parameter, output in about["updates"]}
    program = Program(
        tuple(about["inputs"]), tuple(about["outputs"]), updates, arrays[_MODULE].tobytes()
    )
    return Package(Settings(**about["settings"]), program, about, arrays)


def shape_and_type(described: str) -> tuple[tuple[int, ...], np.dtype]:
    """Those of a type in StableHLO's words: "4x64x64x3xf32" is 4, 64, 64, 3 of float32."""
    import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 from then on

    *sides, kind = described.split("x")
    return tuple(map(int, sides)), np.dtype(_KINDS[kind])


Step = Callable[[Sequence[Any], Sequence[Any]], tuple[Any, list[Any]]]


def loaded(program: Program) -> Step:
    """The program for use inside a function that JAX compiles: (what a step is given, state) ->
    (what it returns, the next state).
    """
    import jax
    import jax.numpy as jnp
    from jax import export

    jax.config.update("jax_enable_x64", True)  # TensorFlow counts in int64
    inputs, outputs = (
        [jax.ShapeDtypeStruct(*shape_and_type(each)) for each in described]
        for described in (program.inputs, program.outputs)
    )
    # a function of the same types, exported for this device, of which only the types remain
    alike = jax.jit(
        lambda *_: [jnp.zeros(each.shape, each.dtype) for each in outputs], keep_unused=True
    )
    exported = dataclasses.replace(
        export.export(alike)(*inputs), mlir_module_serialized=program.module
    )
    (returned,) = set(range(len(outputs))) - set(program.updates.values())

    def step(given: Sequence[Any], state: Sequence[Any]) -> tuple[Any, list[Any]]:
        made = exported.call(*given, *state)
        first = len(given)
        following = [
            made[program.updates[first + index]] if first + index in program.updates else value
            for index, value in enumerate(state)
        ]
        return made[returned], following

    return step


def peak_bytes(device: Any, compiled: Any) -> int:
    """The most memory in use on JAX's device; where it does not count, as on a CPU, what XLA
    planned for the compiled function.
    """
    if counted := (device.memory_stats() or {}).get("peak_bytes_in_use"):
        return counted
    planned = compiled.memory_analysis()
    sizes = (planned.argument_size_in_bytes, planned.output_size_in_bytes)
    return sum(sizes) - planned.alias_size_in_bytes + planned.temp_size_in_bytes
