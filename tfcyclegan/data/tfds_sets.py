"""Opens TFDS data sets, from a directory or the catalogue, after checking what TFDS would trust
blindly: names that become file paths, and code that the metadata names.
"""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from tfcyclegan.data.records import IMAGE_KEY
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, places
from tfcyclegan.system.progress import log

CATALOGUE = "tfds:"
FEATURES = "features.json"
ARRAY = "array"
"""The feature that holds measurements, see `records`."""
_LONGEST_NAME = 255
_CLASS_KEYS = {"pythonClassName", "python_class_name", "type"}
"""The keys under which `features.json` names classes, in its newer, alternative and older form."""


def open_builder(place: str | Path) -> tuple[Any, bool]:
    """The TFDS builder of a directory or, for `tfds:NAME`, of a data set of the catalogue; and
    whether its image feature holds the file name and the encoded picture, as data_prep writes them.

    Raises:
        UserError: the data set is missing, incomplete, without an image feature, or cannot be
            downloaded.
    """
    builder = (
        _from_catalogue(str(place))
        if str(place).startswith(CATALOGUE)
        else _from_directory(Path(place))
    )
    import tensorflow_datasets as tfds

    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict) or IMAGE_KEY not in features:
        there = (
            f"; they have {', '.join(sorted(features))}"
            if isinstance(features, tfds.features.FeaturesDict)
            else ""
        )
        raise UserError(f"--data_dir={place}: its examples have no {IMAGE_KEY!r} feature{there}")
    _check_names(place, builder.info)
    nested = isinstance(features[IMAGE_KEY], tfds.features.FeaturesDict)
    _check_image(place, features[IMAGE_KEY], nested)
    return builder, nested


def _check_image(place: str | Path, feature: Any, nested: bool) -> None:
    """Raises UserError if the feature holds no pictures, or pictures without a known range of
    values.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    if nested and {ARRAY, "filename", "group", "plane"} <= set(feature):
        return
    whole = nested and "encoded" in feature and "filename" in feature
    image = feature["encoded"] if whole else feature
    if not isinstance(image, tfds.features.Image):
        kind = type(image).__name__
        raise UserError(
            f"--data_dir={place}: its feature {IMAGE_KEY!r} is a {kind}, not an Image; prepare "
            "pictures with data_prep.folders"
        )
    if image.np_dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"--data_dir={place}: its pictures are {np.dtype(image.np_dtype).name}, which has no "
            "known range; 8 or 16 bits are needed"
        )


def _check_names(place: str | Path, info: Any) -> None:
    """Raises UserError if a name in the metadata that becomes a file's path would leave its
    directory.
    """
    templates = [
        split.filename_template.template
        for split in info.splits.values()
        if split.filename_template
    ]
    for name in (info.name, *info.splits, *templates):
        # other parts of a template may access attributes, or demand a width that exhausts memory
        plain = re.sub(r"\{[A-Z_]+\}", "", name) if name in templates else name
        if set("/\0{}") & set(plain) or name in ("", ".", "..") or len(name) > _LONGEST_NAME:
            shown = repr(name[:100])
            raise UserError(
                f"--data_dir={place}: dataset_info.json has the name {shown}, which cannot be part "
                "of a file name; prepare it again"
            )


def check_directory(directory: Path) -> None:
    places.bring(directory)
    if not directory.is_dir():
        raise UserError(
            f"--data_dir={directory}: no such directory; make it with python -m data_prep.folders"
        )
    if not (directory / "dataset_info.json").exists():
        raise UserError(
            f"--data_dir={directory}: not a complete data set (dataset_info.json is missing); "
            "prepare it with python -m data_prep.folders"
        )


def _from_directory(directory: Path) -> Any:
    check_directory(directory)
    _check_features(directory)
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(str(directory))
    except Exception as error:  # TFDS passes on whatever its parsers raise
        raise UserError(
            f"--data_dir={directory}: not readable as a TFDS data set "
            f"({' '.join(str(error).split())})"
        ) from error


def _check_features(directory: Path) -> None:
    """Raises UserError if features.json names a class outside TFDS, since TFDS would import and
    thus run its module.
    """
    waiting = [files.read_json(directory / FEATURES)] if (directory / FEATURES).is_file() else []
    while waiting:
        value = waiting.pop()
        waiting += (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        for key in _CLASS_KEYS & value.keys() if isinstance(value, dict) else ():
            name = value[key]
            if (
                isinstance(name, str)
                and "." in name
                and not name.startswith("tensorflow_datasets.")
            ):
                raise UserError(
                    f"--data_dir={directory}: refused, since {FEATURES} names {name}, code outside "
                    "TFDS"
                )


def _from_catalogue(place: str) -> Any:
    import tensorflow_datasets as tfds

    name = place.removeprefix(CATALOGUE)
    try:
        builder = tfds.builder(name)
    except Exception as error:  # not found, no such config, ...: the first line says so
        raise UserError(
            f"--data_dir={place}: not in the TFDS catalogue ({str(error).splitlines()[0]})"
        ) from error
    configs = [config.name for config in builder.BUILDER_CONFIGS]
    if len(configs) > 1 and builder.builder_config and "/" not in name:
        some = ", ".join(configs[:5]) + (
            f" and {len(configs) - 5} more" if len(configs) > 5 else ""
        )
        log(
            f"{place}: read as {place}/{builder.builder_config.name}, its first configuration; it "
            f"has {some}"
        )
    if not builder.info.splits:
        log(
            f"downloading {place} to {builder.data_dir} (without a network this gives up after "
            "some minutes)"
        )
        try:
            # its progress bars clutter logs and do not fit on one line
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                builder.download_and_prepare()
        # the network, the site or that data set's parser may raise anything
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(
                f"--data_dir={place}: cannot be downloaded ({reason}); on a machine with a "
                "network run it once and copy "
                f"{builder.data_dir} here, then give that directory"
            ) from error
    return builder
