"""A synthetic street in the layouts of GTA5 and Cityscapes, for machines without these data sets
and for tests that need ground truth.

Everything is drawn (by the other modules of this folder); nothing comes from a photograph or a
game. A looks like a game: flat, saturated and crisp. B looks like a photograph of the same world:
textured, hazy, noisy, under clouds. A material's colour in A does not determine its colour in B
(road, brick and one car are the same blue grey in A but brown, red and olive in B), so no colour
map can invert it; the object together with its colour can. Labels are exact and have the ids of
Cityscapes.

Makes:

    OUT/
        gta5/images/00001.png  labels/00001.png          A; labels are palette PNGs whose indices
                                                         are ids
        gta5/split.mat                                   trainIds, valIds, testIds: columns of
                                                         numbers, as in the official file
        cityscapes/leftImg8bit/{train,val}/toytown/      B; toytown_000000_000001_leftImg8bit.png
        cityscapes/gtFine/{train,val}/toytown/           its _gtFine_labelIds.png,
                                                         _gtFine_labelTrainIds.png and
                                                         _gtFine_color.png
        pairs.csv      a,b: GTA5 name and Cityscapes key of the same scene, for test scenes
        about.json     settings, version of the rendering, class frequencies, quirks, and dark
                       frames of A
        README.txt

Scenes: the training scenes of A and of B differ; GTA5's test scenes and Cityscapes's val scenes are
the same scenes in both styles, and are not used for training. A scene is determined by --seed and
its number, at every --size and with any number of --workers.

--layout_gap moves the scenes on which A is trained and validated from a city towards a suburb: more
road, trees, grass, walls and trucks, fewer houses, people and bicycles. Training scenes of B and
all test scenes show the city. Night and dusk occur only in A, including its test scenes; B shows
the same scenes by day. With --quirks, four training pairs of A have the faults of the real data,
listed in about.json.

With the default flags it takes 40 seconds of CPU time, about 25 seconds on 2 idle cores, and 41 MB
of disk. After any interruption the same command continues.
"""

import collections
import concurrent.futures
import csv
import dataclasses
import functools
import io
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from tfcyclegan.config import Options, Size, option
from tfcyclegan.data import labels
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files, hardware
from tfcyclegan.system.progress import Progress, log
from toy_street import frames, render
from toy_street.scene import DAY

SUMMARY = "draw a synthetic street in the layouts of GTA5 and Cityscapes"
EXAMPLES = """
    python -m data_prep.toy_street --output_dir=data/toy_street
    python -m data_prep.toy_street --output_dir=data/toy_quirks --train_scenes=20 \
        --test_scenes=10 --quirks
    python -m data_prep.toy_street --output_dir=data/toy_large --train_scenes=50 --test_scenes=20 \
        --size=1052x1914
"""

ABOUT = "about.json"
MOST_PIXELS = 2048 * 4096
MAT_HEADER = b"MATLAB 5.0 MAT-file, written by data_prep.toy_street"
MAT_HEADER_BYTES = 116

README = """\
Everything in this directory is synthetic: drawn by `python -m data_prep.toy_street`, seed {seed},
rendering {version}. No photograph and no game was used. gta5/ and cityscapes/ have the layouts of
the data sets of those names, and are not those data sets.
about.json holds the settings; pairs.csv lists the test scenes that were drawn in both styles.
"""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `python -m data_prep.toy_street`."""

    output_dir: str = option("", "directory to write; a rerun continues there", required=True)
    train_scenes: int = option(
        800, "training scenes of each domain", minimum=len(frames.QUIRKS), maximum=1_000_000
    )
    val_scenes: int = option(8, "validation scenes of A", minimum=0, maximum=100_000)
    test_scenes: int = option(100, "test scenes, shown in both domains", minimum=1, maximum=100_000)
    size: Size = option(
        Size(64, 128), "size of the pictures, HEIGHTxWIDTH; GTA5's own is 1052x1914"
    )
    seed: int = option(0, "random seed of the scenes", minimum=0, maximum=2**32 - 1)
    style_gap: float = option(
        1.0, "difference in style between A and B; 0 makes them alike", minimum=0, maximum=1
    )
    layout_gap: float = option(
        0.3, "layout of A's training scenes, from a city (0) to a suburb (1)", minimum=0, maximum=1
    )
    night_share: float = option(0.05, "share of A's frames by night", minimum=0, maximum=1)
    dusk_share: float = option(0.05, "share of A's frames at dusk", minimum=0, maximum=1)
    quirks: bool = option(False, "give four training pairs of A the faults of the real data")
    workers: int = option(0, "number of processes; 0 starts one per core", minimum=0, maximum=1024)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            min(self.size.height * 2, self.size.width) < 64
            or self.size.height * self.size.width > MOST_PIXELS
        ):
            raise UserError(
                f"--size={self.size}: must be at least 32x64 and have at most {MOST_PIXELS} pixels"
            )
        if self.night_share + self.dusk_share > 1:
            raise UserError(
                f"--night_share={self.night_share}: must not exceed 1 together with "
                f"--dusk_share={self.dusk_share}"
            )

    @property
    def settings(self) -> frames.Settings:
        """The settings that determine the pictures."""
        return frames.Settings(
            train_scenes=self.train_scenes,
            val_scenes=self.val_scenes,
            test_scenes=self.test_scenes,
            height=self.size.height,
            width=self.size.width,
            seed=self.seed,
            style_gap=self.style_gap,
            layout_gap=self.layout_gap,
            night_share=self.night_share,
            dusk_share=self.dusk_share,
            quirks=self.quirks,
        )


def _claim(output_dir: Path, settings: frames.Settings) -> None:
    """Reserves the directory for this request, or raises UserError if it belongs to another."""
    there = output_dir / ABOUT
    own: dict[str, Any] = {**dataclasses.asdict(settings), "rendering": render.VERSION}
    if there.exists():
        earlier = files.read_json(there)
        old = earlier.get("settings", {}) if isinstance(earlier, dict) else {}
        differences = [
            f"{key}: {old.get(key)} there, {value} here"
            for key, value in own.items()
            if old.get(key) != value
        ]
        if differences:
            raise UserError(
                f"{output_dir}: holds the street of another request ({'; '.join(differences)}); "
                "choose another --output_dir or remove it"
            )
        return
    strangers = sorted(
        entry.name for entry in output_dir.iterdir() if not entry.name.startswith(".")
    )
    if strangers:
        raise UserError(
            f"{output_dir}: is not empty ({strangers[0]}) and holds no street of this script; "
            "choose another --output_dir"
        )
    files.write_json(there, {"synthetic": True, "complete": False, "settings": own})


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent process, and ends with it in any case."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _write_all(
    wanted: Sequence[frames.Frame], settings: frames.Settings, output_dir: Path, workers: int
) -> Iterator[frames.Written]:
    """Writes all frames, on `workers` processes, and yields the facts about each in order."""
    task = functools.partial(frames.write, settings=settings, output_dir=output_dir)
    together = max(1, min(8, 100_000 // (settings.height * settings.width)))
    chunks = [wanted[start : start + together] for start in range(0, len(wanted), together)]
    if workers == 1:
        for chunk in chunks:
            yield from task(chunk)
        return
    # spawned, since a process with TensorFlow's threads must not be forked
    context = multiprocessing.get_context("spawn")
    executor = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker
    )
    try:
        for written in executor.map(task, chunks):
            yield from written
    except concurrent.futures.process.BrokenProcessPool as error:
        raise RunError(
            f"{output_dir}: a worker process was killed; lower --workers if memory is short, then "
            "run the same command again"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _shares(counts: np.ndarray) -> dict[str, float]:
    """The share of each class in the pixel `counts` by id, and of ignored pixels."""
    total = int(counts.sum())
    shares = {entry.name: round(int(counts[entry.id]) / total, 6) for entry in labels.TRAIN_CLASSES}
    return {**shares, "ignored": round(max(0.0, 1 - sum(shares.values())), 6)}


def _about(settings: frames.Settings, done: Sequence[frames.Written]) -> dict[str, Any]:
    counts: dict[str, np.ndarray] = collections.defaultdict(lambda: np.zeros(256, np.int64))
    pictures: collections.Counter[str] = collections.Counter()
    for each in done:
        for name in each.frame.splits:
            counts[name] += each.counts
            pictures[name] += 1
    dark = [each for each in done if each.light != DAY]
    return {
        "synthetic": True,
        "complete": True,
        "settings": {**dataclasses.asdict(settings), "rendering": render.VERSION},
        "pictures": dict(pictures),
        "class_frequencies": {name: _shares(each) for name, each in counts.items()},
        "dark_frames": {
            light: [each.frame.gta5_name for each in dark if each.light == light]
            for light in ("dusk", "night")
        },
        "quirks": [
            {"name": each.frame.gta5_name, "what": each.frame.quirk}
            for each in done
            if each.frame.quirk
        ],
    }


def _split_mat(wanted: Sequence[frames.Frame]) -> bytes:
    """The official file's variables: columns of image numbers."""
    stream = io.BytesIO()
    columns = {
        split: np.array(
            [
                [frame.number]
                for frame in wanted
                if frame.split == split and frames.GTA5 in frame.domains
            ],
            np.float64,
        ).reshape(-1, 1)
        for split in (frames.TRAIN, frames.VAL, frames.TEST)
    }
    scipy.io.savemat(stream, {f"{split}Ids": column for split, column in columns.items()})
    # its own header contains the time
    return MAT_HEADER.ljust(MAT_HEADER_BYTES) + stream.getvalue()[MAT_HEADER_BYTES:]


def _pairs(wanted: Sequence[frames.Frame]) -> str:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("a", "b"))
    table.writerows(
        (frame.gta5_name, frame.cityscapes_key) for frame in wanted if frame.split == frames.TEST
    )
    return stream.getvalue()


def run(config: Config) -> None:
    output_dir = Path(config.output_dir)
    settings = config.settings
    if output_dir.exists() and not output_dir.is_dir():
        raise UserError(f"--output_dir={config.output_dir}: is a file; give a directory")
    with files.exclusive_lock(output_dir):
        _claim(output_dir, settings)
        wanted = frames.plan(settings)
        workers = config.workers or hardware.cores()
        done = []
        with Progress(len(wanted), unit="scene", label="toy_street") as progress:
            for each in _write_all(wanted, settings, output_dir, min(workers, len(wanted))):
                done.append(each)
                progress.advance(note=each.frame.split)
        files.write_bytes(output_dir / frames.GTA5 / "split.mat", _split_mat(wanted))
        files.write_text(output_dir / "pairs.csv", _pairs(wanted))
        files.write_text(
            output_dir / "README.txt", README.format(seed=settings.seed, version=render.VERSION)
        )
        about = _about(settings, done)
        files.write_json(output_dir / ABOUT, about)
    kept = sum(each.was_there for each in done)
    counts = ", ".join(f"{name} {count}" for name, count in about["pictures"].items())
    log(
        f"{output_dir}: synthetic; {counts} pictures of {config.size}"
        + (f"; {kept} scenes already existed" if kept else "")
    )
    log(
        f"next: python -m data_prep.gta5 --input_dir={output_dir}/gta5 "
        "--output_dir=data/toy_gta5, and data_prep.cityscapes likewise"
    )
