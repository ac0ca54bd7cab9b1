"""Writes a run's generator in the requested formats and verifies, before anything gets its final
name, that they agree with Keras.

saved_models/NAME/1/            the SavedModel, with a higher number at each export
    float32.tflite float16.tflite dynamic_int8.tflite int8.tflite
    with_latents.tflite         of --method=augmented: takes latents as well
    onnx/float32.onnx  onnx/float16.onnx  onnx/int8.onnx
    openvino/float32.xml  openvino/float32.bin  openvino/int8.xml  openvino/int8.bin
    rejected/                   files whose results differ too much from Keras'
    metadata.json               weights, data, inputs and outputs of the files, measurements
    MODEL_CARD.md               the same for readers, with the run's scores
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from tfcyclegan import __version__
from tfcyclegan.config import Size
from tfcyclegan.config.measured_reading import parted
from tfcyclegan.data.domains import Domains, open_domains
from tfcyclegan.data.intake import Rules
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exporting import (
    hub_folder,
    model_card,
    onnx_and_openvino,
    quality,
    saved_model,
    tflite,
    tflite_latents,
)
from tfcyclegan.exporting.proof_pictures import (
    COMPARED,
    calibration_pictures,
    check_kind,
    comparison_pictures,
)
from tfcyclegan.exporting.tflite_converters import CALIBRATED, CONVERTERS, VARIANTS
from tfcyclegan.exporting.versions import new_version, newest_version
from tfcyclegan.exports.model_metadata import METADATA, WITH_LATENTS, told_reading, translates
from tfcyclegan.exports.runtimes import RUNTIMES
from tfcyclegan.networks import Generator, LatentGenerator
from tfcyclegan.system import files, hardware
from tfcyclegan.system.progress import log, log_table, quantity, track
from tfcyclegan.training.checkpoints import (
    find_checkpoint,
    load_generator,
    step_of,
    tell_untrained,
    told_choice,
    weights_hash,
)
from tfcyclegan.training.runs import Run
from tfcyclegan.translation.translators import as_function, scale_of
from tfcyclegan.translation.value_pair import ValuePair

SAVED_MODEL = "SavedModel (C++ loader)"
BOUNDS = {
    SAVED_MODEL: 2e-3,
    "TFLite float32": 2e-3,
    "TFLite float16": 2e-2,
    WITH_LATENTS: 2e-2,
    **onnx_and_openvino.BOUNDS,
}
"""A quarter of an 8-bit level for float32: instance norm of flat areas amplifies rounding errors;
7e-4 was measured at 256x256.
"""
_HELD_BY_BOUND = {"float32": "TFLite float32", "float16": "TFLite float16"}
_SESSION_PICTURES = 4


def export(
    run: Run,
    checkpoint: str,
    direction: str,
    output: Path,
    tflite_size: Size | None,
    *,
    min_psnr: float = 30.0,
    data_dir: str = "",
    formats: Sequence[str] = ("saved_model", "tflite"),
    tflite_converter: str = "tensorflow",
    hub_dir: str = "",
) -> Path:
    """Exports one direction; returns the directory of the version made, or of the version that
    already holds the same.

    Args:
        run: the run.
        checkpoint: "latest", "best" or a step.
        direction: "ab" or "ba".
        output: folder of the versions.
        tflite_size: size of the TFLite models' pictures; None means the run's crop size.
        min_psnr: PSNR in dB against Keras that the mean and the worst picture of a usable TFLite
            file must reach.
        data_dir: data for measuring and calibrating; empty for the run's own.
        formats: the formats to write, of `config.EXPORT_FORMATS`; they must include "saved_model",
            which servers need.
        tflite_converter: what makes the TFLite files, one of `tflite_converters.CONVERTERS`.
        hub_dir: folder that `hub_folder.write` writes the version to afterwards; empty for none.

    Raises:
        UserError: the checkpoint or direction does not exist, the size does not fit, `output` holds
            versions of another purpose, `hub_dir` holds another export, the data are not what the
            network takes, or a format's packages are not installed.
        RunError: an exported model differs from Keras by more than its bound; no files are left
            behind.
    """
    if output.suffix == ".tflite":
        raise UserError(
            f"--output={output}: give a folder, such as saved_models/mine; the .tflite files are "
            "written into it"
        )
    tell_untrained(run, checkpoint)
    generator = load_generator(run, checkpoint, direction)
    size = tflite_size or run.config.crop_size
    tflite.check_size(generator, size)
    there = _domains_of(run, data_dir)
    domains = open_domains(data_dir) if data_dir else there
    own = there if there and there.fingerprint == run.data_fingerprint else None
    title = run.data_title or (own.title if own else "")
    values = ValuePair.of_domains(run.values, direction)
    if domains:
        check_kind(domains, direction[0], values.source)
    if run.reading is not None:
        known = run.reading.get(direction[0], {})
    else:
        known = own.reading(direction[0]) if own else {}
    reading, opening = parted(known)
    opened = opening if values.source else {}
    identity = {
        "weights": weights_hash(generator),
        "direction": direction,
        "tflite_size": str(size),
        "min_psnr": min_psnr,
        "measured_on": domains.fingerprint if domains else "",
        "reading": reading | opened,
        "tfcyclegan": __version__,
    }
    if tuple(formats) != ("saved_model", "tflite"):
        identity["formats"] = list(formats)
    if tflite_converter != "tensorflow":
        identity["tflite_converter"] = tflite_converter
    newest = newest_version(output, identity)
    if newest is not None:
        card = model_card.render(run, own, newest, files.read_json(newest / METADATA))
        files.write_text(newest / model_card.NAME, card)  # the run may have been scored since
        log(f"{newest}: already holds this model")
        return newest
    if hub_dir:
        hub_folder.require_no_export(Path(hub_dir))
    channels = generator.settings["in_channels"]
    described = {
        "format": files.FORMAT,
        **identity,
        "exported": datetime.now(UTC).date().isoformat(),
        **_provenance(run, checkpoint, generator.count_params()),
        "data": title,
        "interface": {
            "height": size.height,
            "width": size.width,
            "channels_in": channels,
            "channels_out": generator.settings["out_channels"],
            "range": [-1, 1],
        },
        **({} if values.pictures else {"values": values.to_json()}),
        **(
            {"latent_size": generator.latent_size} if isinstance(generator, LatentGenerator) else {}
        ),
        "size_multiple": generator.size_multiple,
        "domains": _names(title, direction),
        "label_maps": _label_maps(run, own, direction),
        "trained_at": _trained_at(run, checkpoint),
    }
    pictures = comparison_pictures(domains, direction[0], size, channels, run.config.interpolation)
    function = as_function(generator, size=size)
    classes = generator.target_coding is not None
    with new_version(output, described) as (directory, temporary):
        saved_model.save(generator, temporary, size=size, rules=Rules(**reading), values=values)
        some = pictures.batch[:_SESSION_PICTURES]
        differences = {
            SAVED_MODEL: quality.largest_difference(
                saved_model.run_in_session(temporary, some), function(some), classes=classes
            )
        }
        calibration = calibration_pictures(
            domains, direction[0], size, channels, run.config.interpolation
        )
        candidates: dict[str, quality.Candidate] = {}
        if "tflite" in formats:
            candidates = _convert(generator, size, calibration, tflite_converter)
        others = tuple(name for name in formats if name in RUNTIMES)
        candidates |= onnx_and_openvino.candidates(generator, others, calibration)
        measured = quality.measure(
            candidates,
            function,
            pictures,
            min_psnr,
            rounded=values.target is None,
            classes=classes,
        )
        quality.show(measured, pictures)
        parity = differences | {
            told: measured[name].largest
            for name, told in _HELD_BY_BOUND.items()
            if name in measured
        }
        parity |= onnx_and_openvino.differences(
            candidates, measured, function, some, classes=classes
        )
        if isinstance(generator, LatentGenerator) and "tflite" in formats:
            content = tflite_latents.convert(generator, size)
            parity[WITH_LATENTS] = tflite_latents.largest_difference(content, generator, some)
            files.write_bytes(temporary / WITH_LATENTS, content)
        check_parity(parity)
        for name, one in measured.items():
            place = (temporary / one.file).parent
            for file, content in candidates[name].files.items():
                files.write_bytes(place / Path(file).name, content)
        metadata = {
            **described,
            "parity": parity,
            "compared": pictures.told,
            "threads": hardware.cores(),
            "variants": {n: one.to_json() for n, one in measured.items() if n in VARIANTS},
            "runtimes": {n: one.to_json() for n, one in measured.items() if n not in VARIANTS},
        }
        files.write_json(temporary / METADATA, metadata)
        files.write_text(
            temporary / model_card.NAME, model_card.render(run, own, directory, metadata)
        )
    _tell_unusable(measured, min_psnr)
    log(
        f"exported to {directory}: {translates(metadata)}, {quantity(channels, 'channel')} to "
        f"{generator.settings['out_channels']}"
    )
    for told in values.told():
        log(told)
    if isinstance(generator, LatentGenerator):
        log(
            "all files give the answer of the zero latent, the mean one; the SavedModel's "
            f"{saved_model.LATENTS_SIGNATURE} takes latents of {generator.latent_size} numbers, "
            f"drawn from N(0, 1){f', and so does {WITH_LATENTS}' if 'tflite' in formats else ''}"
        )
    log(
        f"weights of {told_choice(run.directory, checkpoint)}"
        + (
            f"; the TFLite files only take pictures of {size.height}x{size.width}"
            if "tflite" in formats
            else ""
        )
    )
    if reading:
        log(f"serving_default reads pictures like those of training: {told_reading(reading)}")
    if described["trained_at"]:
        log(f"it keeps pictures' sizes; training resized them ({described['trained_at']})")
    return directory


def _label_maps(run: Run, own: Domains | None, direction: str) -> dict[str, Any]:
    """The sides that are label maps, whether translations are classes, and the table of their
    classes if the run's data has one.
    """
    sides = {
        side: domain in run.label_maps
        for side, domain in zip(("source", "target"), direction, strict=True)
    }
    tables = (
        [source.classes for source in (own.a, own.b) if source.classes and source.label_maps]
        if own
        else []
    )
    return {
        **sides,
        **({"onehot": True} if direction[1] in run.classes else {}),
        **({"classes": tables[-1].to_json()} if tables else {}),
    }


def _domains_of(run: Run, data_dir: str) -> Domains | None:
    """The run's own data; None if they are gone, and then what the export lacks is told."""
    try:
        return open_domains(run.config.data_dir, recipe=run.config.data_recipe)
    except UserError as error:
        if run.reading is None and data_dir:
            log(f"the export does not say how the run's pictures were read: {error}")
        elif not data_dir:
            log(f"no measurements on real pictures, and no int8 file: {error}")
        return None


def _convert(
    generator: Generator, size: Size, calibration: Any, converter: str
) -> dict[str, quality.Candidate]:
    """The TFLite files by variant; no "int8" without pictures for calibration."""
    convert = CONVERTERS[converter](tflite.fixed(generator, size))
    names = [name for name in VARIANTS if name != CALIBRATED or len(calibration)]
    made = {}
    for name in track(names, total=len(names), unit="file", label="converting to TFLite"):
        content = convert(name, calibration)
        tflite.check_operators(content, name)
        made[name] = tflite.candidate(name, content)
    return made


def _tell_unusable(measured: Mapping[str, quality.Variant], min_psnr: float) -> None:
    for name, one in measured.items():
        if one.status == quality.REJECTED:
            log(
                f"{name}: rejected: PSNR {one.psnr_mean:.1f} dB, worst picture "
                f"{one.psnr_worst:.1f}, --min_psnr={min_psnr:g}; in {one.file}"
            )
        elif one.status == quality.UNPROVEN:
            log(
                f"{name}: unproven, so not listed as usable: that takes {COMPARED} test "
                "pictures; --data_dir names a data set that has them"
            )


def check_parity(parity: dict[str, float]) -> None:
    """Raises RunError if a model differs from Keras by more than its bound."""
    failed = [name for name, difference in parity.items() if not difference <= BOUNDS[name]]
    if failed:
        raise RunError(
            f"{failed[0]} differs from Keras by {parity[failed[0]]:.2g}, more than "
            f"{BOUNDS[failed[0]]}; nothing was written"
        )


def _provenance(run: Run, checkpoint: str, parameters: int) -> dict[str, Any]:
    return {
        "run_dir": str(run.directory),
        "checkpoint": Path(find_checkpoint(run.directory, checkpoint)).name,
        "architecture": run.config.architecture,
        "base_filters": run.config.base_filters,
        "parameters": parameters,
        "data_fingerprint": run.data_fingerprint,
    }


def _trained_at(run: Run, checkpoint: str) -> str:
    """The scale of the training; empty if it resized nothing, and for imported weights, whose
    training is unknown.
    """
    scale = scale_of(run)
    known = step_of(find_checkpoint(run.directory, checkpoint)) and not scale.keeps_sizes
    return str(scale) if known else ""


def _names(title: str, direction: str) -> dict[str, str]:
    """The domains' names: those of two data sets, or the words around the 2 in a name such as
    horse2zebra; otherwise a and b.
    """
    name = title.removesuffix(" (synthetic)")
    names = name.split(", ") if ", " in name else name.split("2")
    pair = dict(zip("ab", names if len(names) == 2 and all(names) else ("a", "b"), strict=True))
    return {"from": pair[direction[0]], "to": pair[direction[1]]}


def show_parity(parity: dict[str, float], directory: Path, meaning: str) -> None:
    """Prints the differences with their bounds and the models' sizes."""
    sizes = {
        SAVED_MODEL: (directory / "variables").glob("*"),
        "TFLite float32": [directory / "float32.tflite"],
        "TFLite float16": [directory / "float16.tflite"],
    }
    table = Table("model", meaning, "bound", "KB")
    for name, difference in parity.items():
        kilobytes = sum(path.stat().st_size for path in sizes[name]) / 1000
        table.add_row(name, f"{difference:.1e}", f"{BOUNDS[name]:.0e}", f"{kilobytes:.0f}")
    log_table(table)
