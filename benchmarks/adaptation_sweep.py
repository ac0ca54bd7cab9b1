"""When does translation help a segmenter, and when does it harm? Four synthetic streets, from
similar to dissimilar domains.

    python -m benchmarks.adaptation_sweep --directory=runs/adaptation_sweep \
        --plot=docs/images/adaptation_sweep.svg

At each point the toy street is drawn with its gaps of style (how the domains look) and layout (what
stands in their scenes), a translator is trained and `tfcyclegan adapt` scores the arms, with one
seed. Everything uses the ordinary commands, so after any interruption the same command continues
and keeps what is done. Everything is synthetic; one seed cannot order similar values.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from tfcyclegan.system import files

POINTS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
"""Style gap and layout gap of each street."""
ARMS = ("source_only", "colour_matching", "fda", "translated", "oracle")
TRANSLATOR = (
    "--flagfile=configs/toy_gta2city.cfg",
    "--epochs=1",
    "--decay_epochs=1",
    "--eval_every_steps=0",
)
_COLOURS = {
    "source only": "#8a8f98",
    "source + colour matching": "#c9a227",
    "source + FDA": "#4f9d69",
    "source + translated": "#2f6fde",
    "target oracle": "#d9622b",
}

Scores = Mapping[str, float]
"""mIoU in percent by arm."""


def measure(directory: Path, style: float, layout: float) -> Scores:
    """Draws, trains and scores one point in `directory`, skipping what is finished."""
    _run(
        "data_prep.toy_street",
        f"--output_dir={directory}/street",
        f"--style_gap={style}",
        f"--layout_gap={layout}",
    )
    _run(
        "data_prep.gta5",
        f"--input_dir={directory}/street/gta5",
        f"--output_dir={directory}/source",
        "--name=sweep_source",
    )
    target = f"--output_dir={directory}/target"
    _run(
        "data_prep.cityscapes",
        f"--input_dir={directory}/street/cityscapes",
        "--content=photos_and_labels",
        target,
        "--name=sweep_target",
    )
    run = f"{directory}/translator"
    _run(
        "tfcyclegan.cli",
        "train",
        *TRANSLATOR,
        f"--data_dir={directory}/source,{directory}/target",
        f"--run_dir={run}",
    )
    places = (
        f"--source_dir={directory}/source",
        f"--target_dir={directory}/target",
        f"--output_dir={directory}/adapted",
    )
    which = (f"--translator={run}", f"--arms={','.join(ARMS)}", "--seeds=0")
    _run("tfcyclegan.cli", "adapt", "--flagfile=configs/toy_uda.cfg", *places, *which)
    return {
        arm["name"]: arm["mean"]
        for arm in json.loads((directory / "adapted" / "results.json").read_text())["arms"]
    }


def _run(module: str, *arguments: str) -> None:
    status = subprocess.run([sys.executable, "-m", module, *arguments]).returncode
    if status:
        sys.exit(status)


def plot(measured: Mapping[tuple[float, float], Scores]) -> Figure:
    """One group of bars per street, one bar per arm."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(_COLOURS)
    for place, (arm, colour) in enumerate(_COLOURS.items()):
        at = [group + (place - (len(_COLOURS) - 1) / 2) * width for group in range(len(measured))]
        axes.bar_label(
            axes.bar(
                at, [scores[arm] for scores in measured.values()], width, color=colour, label=arm
            ),
            fmt="%.0f",
            fontsize=8,
        )
    axes.set_xticks(
        range(len(measured)),
        [f"style gap {style:g}\nlayout gap {layout:g}" for style, layout in measured],
    )
    axes.set_ylabel("mIoU on the target, %")
    axes.set_title("Synthetic street, one seed: segmenters for the photo-like domain", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        fontsize=8,
        frameon=False,
        ncols=len(_COLOURS),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
    )
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, default=Path("runs/adaptation_sweep"))
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args(arguments)
    measured = {}
    for style, layout in POINTS:
        began = time.monotonic()
        measured[style, layout] = measure(
            options.directory / f"style-{style:g}-layout-{layout:g}", style, layout
        )
        print(
            f"style gap {style:g}, layout gap {layout:g}: {(time.monotonic() - began) / 60:.1f} "
            "minutes",
            flush=True,
        )
    table = Table(
        "style gap", "layout gap", *_COLOURS, title="mIoU in percent, synthetic, one seed"
    )
    for (style, layout), scores in measured.items():
        table.add_row(f"{style:g}", f"{layout:g}", *(f"{scores[arm]:.1f}" for arm in _COLOURS))
    Console(width=120).print(table)
    results = [
        {"style_gap": style, "layout_gap": layout, "mean_iou": dict(scores)}
        for (style, layout), scores in measured.items()
    ]
    files.write_json(options.directory / "results.json", results)
    if options.plot:
        with files.atomic_file(options.plot) as stream:
            plot(measured).savefig(stream, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
