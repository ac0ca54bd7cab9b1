"""DICOM series -> TFRecords: all files below the folders of `data_prep.measurements`, by what they
say, not by their names and places.

Each slice is a picture, in the order and turned as `tfcyclegan.formats` says; `--neighbours=1`
takes those before and behind it as channels beside it.

No tag that names or describes a person is stored. A series is called by a hash of its
SeriesInstanceUID (series_0123456789ab), a subject by 12 digits that scrypt makes of the PatientID
and its issuer (subject_..., or study_... of the StudyInstanceUID where there is no PatientID): the
same in each data set, so that they tell which pictures are of one person, and not of whom. Who
knows a PatientID can compute its pseudonym. What is burnt into pixels stays there.
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
        "what may be in one split alone: subject (by PatientID, stored as a pseudonym), file (a "
        "series), parent (the folder of a series' first file), or a regular expression that is "
        "looked for in that file's path; the last two are stored as they are",
    )
    gaps: str = option(
        "refuse",
        "series of which slices seem to be missing between others: refuse them, or keep the "
        "slices that are there",
        choices=("refuse", "keep"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, mend in (
            ("mask", "padding is a gap already; or convert the series to NIfTI"),
            ("aligned", "series have no names to find partners by; convert them to NIfTI"),
        ):
            if getattr(self, name):
                raise UserError(f"--{name}: not of DICOM series: {mend}")


def run(config: Config) -> None:
    folders = _Folders(config, formats.load("dicom", "data_prep.dicom"))
    try:
        measurements.run(config, find=folders.find, open_=folders.open_, command="data_prep.dicom")
    except UserError as error:
        folders.tell_places(str(error))
        raise


class _Folders:
    """The series of all splits, by paths below the folder of their split that end in their
    pseudonyms and lead to no files.
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
        """Empty where it is the series, or not known."""
        if self._config.group_by != SUBJECT:
            rule = self._config.group_by
            return "" if rule == FILE else group_of(rule, split, first.as_posix(), first.stem)
        if series.subject:
            # told here, where the folders are known
            purpose, path = self._subjects.setdefault(series.subject, (split[:-1], series.path))
            if purpose != split[:-1]:
                raise UserError(
                    f"{path} and {series.path} are of one subject, in {purpose} and {split[:-1]}; "
                    "move all of it into one, or give --group_by another rule if all have one "
                    "PatientID"
                )
        return series.subject or series.name

    def open_(self, path: Path) -> Measurement:
        series = self._series[path]
        try:
            opened: Measurement = self._dicom.Dicom(
                series.path, series=series, gaps=self._config.gaps
            )
        except BadPicture:
            self.tell_places(series.name)
            raise
        return opened

    def tell_places(self, message: str) -> None:
        """Says, on the terminal alone, where the series lie that a message calls by pseudonyms."""
        for series in self._series.values():
            if series.name in message and series.name not in self._told:
                self._told.add(series.name)
                log(f"{series.name} lies in {series.path}")


if __name__ == "__main__":
    sys.exit(run_command("data_prep.dicom", SUMMARY, EXAMPLES, Config, run))
