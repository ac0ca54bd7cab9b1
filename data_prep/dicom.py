"""DICOM series -> TFRecords: all files below the folders of `data_prep.measurements`, identified by
their contents, not by their names and folders.

Each slice is a picture, ordered and oriented as `tfcyclegan.formats` describes; `--neighbours=1`
adds the slices before and after it as channels.

No tag that names or describes a person is stored. A series is named by a hash of its
SeriesInstanceUID (series_0123456789ab), a subject by 12 digits that scrypt derives from the
PatientID and its issuer (subject_..., or study_... from the StudyInstanceUID if there is no
PatientID). They are the same in each data set, so they show which pictures are of the same person,
but not of whom. Anyone who knows a PatientID can compute its pseudonym. Text burnt into the pixels
remains.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep import measurements
from data_prep.groups import FILE, group_of
from data_prep.measured_files import Found
from tfcyclegan import formats
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.errors import UserError
from tfcyclegan.formats.base import Measurement
from tfcyclegan.system.progress import log

SUMMARY = "prepare DICOM series for training"
EXAMPLES = """
    python -m data_prep.dicom --input_dir=ROOT --output_dir=data/mr2ct --range_b=-1000:2000
    python -m data_prep.dicom --input_dir=ROOT --output_dir=data/mr2ct --group_by='^[^/]+'
"""

SUBJECT = "subject"


@dataclass(frozen=True, kw_only=True)
class Config(measurements.MeasurementOptions):
    """Options of `python -m data_prep.dicom`."""

    group_by: str = option(
        SUBJECT,
        "what must not be in two splits: subject (by PatientID, stored as a pseudonym), file (a "
        "series), parent (the folder of a series' first file), or a regular expression that is "
        "searched in that file's path; the last two are stored unchanged",
    )
    gaps: str = option(
        "refuse",
        "series in which slices between others seem to be missing: refuse them, or keep the slices "
        "that exist",
        choices=("refuse", "keep"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, mend in (
            ("mask", "padding already counts as missing; or convert the series to NIfTI"),
            ("aligned", "series have no names to find partners by; convert them to NIfTI"),
        ):
            if getattr(self, name):
                raise UserError(f"--{name}: not for DICOM series: {mend}")


def run(config: Config) -> None:
    folders = _Folders(config, formats.load("dicom", "data_prep.dicom"))
    try:
        measurements.run(config, find=folders.find, open_=folders.open_, command="data_prep.dicom")
    except UserError as error:
        folders.tell_places(str(error))
        raise


class _Folders:
    """The series of all splits, by paths below the folder of their split that end in their
    pseudonyms and are not files.
    """

    def __init__(self, config: Config, dicom: Any):
        self._config, self._dicom = config, dicom
        self._series: dict[Path, Any] = {}
        self._subjects: dict[str, tuple[str, Path]] = {}
        self._told: set[str] = set()

    def find(self, directory: Path) -> Found:
        left_out: Counter[str] = Counter()
        groups, inside = {}, {}
        for series in self._dicom.dicom_slices.find(directory, left_out):
            path = directory / series.name
            if not series.slices and series.path.is_file():
                path = series.path
            self._series[path] = series
            inside[path] = sorted({each.path for each in series.slices} or {series.path})
            group = self._group(directory.name, series, inside[path][0].relative_to(directory))
            if group:
                groups[path] = group
        return Found(list(inside), left_out, [], groups, inside)

    def _group(self, split: str, series: Any, first: Path) -> str:
        """The group of a series; empty if it is the series itself or unknown."""
        if self._config.group_by != SUBJECT:
            rule = self._config.group_by
            return "" if rule == FILE else group_of(rule, split, first.as_posix(), first.stem)
        if series.subject:
            # reported here, where the folders are known
            purpose, path = self._subjects.setdefault(series.subject, (split[:-1], series.path))
            if purpose != split[:-1]:
                raise UserError(
                    f"{path} and {series.path} are of one subject, in {purpose} and {split[:-1]}; "
                    "move all of its series into one, or give another rule with --group_by if all "
                    "subjects share one PatientID"
                )
        return series.subject or series.name

    def open_(self, path: Path) -> Measurement:
        series = self._series[path]
        try:
            opened: Measurement = self._dicom.Dicom(
                series.path, series=series, gaps=self._config.gaps
            )
        except (BadPicture, OSError):
            self.tell_places(series.name)
            raise
        return opened

    def tell_places(self, message: str) -> None:
        """Prints, only to the terminal, where the series are that a message names by pseudonyms."""
        for series in self._series.values():
            if series.name in message and series.name not in self._told:
                self._told.add(series.name)
                log(f"{series.name} is in {series.path}")


if __name__ == "__main__":
    sys.exit(run_command("data_prep.dicom", SUMMARY, EXAMPLES, Config, run))
