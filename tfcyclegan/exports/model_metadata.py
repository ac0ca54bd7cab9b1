"""The description of an exported model in its metadata.json: domains, channels, size and training.

Exports of earlier versions lack parts of it, and a model may have no metadata.json at all: unknown
properties are reported as unknown.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfcyclegan.config.measured_reading import OPENING
from tfcyclegan.exports.runtimes import RUNTIMES, SUFFIXES
from tfcyclegan.system import files
from tfcyclegan.translation.value_pair import ValuePair

METADATA = "metadata.json"
WITH_LATENTS = "with_latents.tflite"
"""The TFLite file that takes latents beside pictures; the others give the zero latent's answer."""
FILES = (".tflite", *SUFFIXES)
FOLDERS = ("rejected", *RUNTIMES)
UNKNOWN = f"domains unknown: no {METADATA} beside it names them"


def read(model: Path) -> dict[str, Any]:
    """The metadata of a version's directory, or of a model file in it; empty if there is none.

    Raises:
        UserError: the file is damaged.
    """
    directory = model.parent if model.suffix in FILES else model
    while model.suffix in FILES and directory.name in FOLDERS:
        directory = directory.parent
    path = directory / METADATA
    return files.read_json_object(path) if path.is_file() else {}


def direction_of(metadata: Mapping[str, Any]) -> str:
    """ "ab" or "ba"; empty if unknown."""
    direction = metadata.get("direction")
    return direction if direction in ("ab", "ba") else ""


def takes_label_maps(metadata: Mapping[str, Any]) -> bool:
    """Whether its inputs are label maps, which only nearest pixels resize."""
    maps = metadata.get("label_maps")
    return isinstance(maps, dict) and maps.get("source") is True


def domains_of(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """The source and target of the model: the domains' names, otherwise a and b of its data; empty
    if unknown.
    """
    domains, direction, data = metadata.get("domains"), direction_of(metadata), metadata.get("data")
    source, target = (
        (domains.get("from"), domains.get("to"))
        if isinstance(domains, dict)
        else tuple(direction) or ("", "")
    )
    if {source, target} == {"a", "b"}:
        return (
            (f"{source} of {data}", f"{target} of {data}") if data else (str(source), str(target))
        )
    return str(source or ""), str(target or "")


def translates(metadata: Mapping[str, Any]) -> str:
    """Source and target in words."""
    if "classes" in metadata:
        return "pictures to class ids"
    source, target = domains_of(metadata)
    if not (source and target):
        return UNKNOWN
    direction, data = direction_of(metadata), metadata.get("data")
    of_data = f" of {data}" if data else ""
    if of_data and source.endswith(of_data):  # both do
        source, of_data = source.removesuffix(of_data), ""
    return f"{source} to {target}" + (f" (direction {direction}{of_data})" if direction else "")


def reading_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """How training pictures were read, if not by the defaults: fields of `data.rules.Rules`; or how
    files of measurements were opened: fields of `config.measured_reading.OPENING`.
    """
    kinds = {"alpha": str, "extra_bands": str, "max_value": int}
    kinds |= dict.fromkeys(OPENING, str) | {"without_affine": bool}
    stored = metadata.get("reading")
    stored = stored if isinstance(stored, dict) else {}
    return {
        name: stored[name] for name, kind in kinds.items() if isinstance(stored.get(name), kind)
    }


def values_of(metadata: Mapping[str, Any]) -> ValuePair:
    """The meaning of the numbers on both sides.

    Raises:
        UserError: the metadata is damaged.
    """
    with files.understanding(Path(METADATA)):
        return ValuePair.from_json(metadata.get("values", {}))


def told_reading(reading: Mapping[str, Any]) -> str:
    """`reading_of` as flags."""
    return " ".join(f"--{name}={value}" for name, value in reading.items())


def status_of(metadata: Mapping[str, Any], file: Path) -> str:
    """The status of a file according to the export, see `exporting.quality`; "usable" for unknown
    files.
    """
    with files.understanding(file.parent / METADATA):
        found = metadata.get("variants", {}).get(file.stem, {}) if file.suffix == ".tflite" else {}
        for one in metadata.get("runtimes", {}).values():
            if Path(one["file"]).name == file.name:
                found = one
        return str(found.get("status", "usable"))


def purpose(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The properties that clients of an export rely on, in words, as far as known; they must be the
    same in all versions.
    """
    interface = metadata.get("interface")
    interface = interface if isinstance(interface, dict) else {}
    classes = metadata.get("classes")
    source, target = domains_of(metadata)
    channels = [str(interface.get(name, "")) for name in ("channels_in", "channels_out")]
    known = {
        "kind": "segmenter" if classes else "translator" if direction_of(metadata) else "",
        "direction": direction_of(metadata),
        "domains": f"{source} to {target}" if "domains" in metadata else "",
        "channels": " to ".join(channels) if all(channels) else "",
        "classes": f"{len(classes)} ({files.sha256_of_json(classes)[:8]})"
        if isinstance(classes, list)
        else "",
        "TFLite size": str(metadata.get("tflite_size", "")),
        "numbers": _numbers(metadata) if direction_of(metadata) else "",
    }
    return {name: value for name, value in known.items() if value}


def _numbers(metadata: Mapping[str, Any]) -> str:
    """Input and output, without ranges, which an export applies itself."""
    pair = values_of(metadata)
    sides = [
        f"{side.dtype} {side.units}".strip() if side else "pictures"
        for side in (pair.source, pair.target)
    ]
    return " to ".join(sides)


def properties(metadata: Mapping[str, Any], channels_in: int) -> dict[str, str]:
    """The properties of a translator for clients of a server."""
    source, target = domains_of(metadata)
    known = {
        "translates": translates(metadata),
        "from": source,
        "to": target,
        "direction": direction_of(metadata),
        "channels_in": str(channels_in),
        "data": str(metadata.get("data") or ""),
        "trained_at": str(metadata.get("trained_at") or ""),
        "reading": told_reading(reading_of(metadata)),
        **{told.split()[0]: told.partition(" ")[2] for told in values_of(metadata).told()},
    }
    return {name: value for name, value in known.items() if value}
