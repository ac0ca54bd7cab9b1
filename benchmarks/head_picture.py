"""The picture at the head of README.md: the whole pictures in a run's report, one below the other.

    make demo
    python -m benchmarks.head_picture --run_dir=runs/satellite2map \
        --output=docs/images/satellite2map.jpg

Each row is input | translated | truth, as `tfcyclegan translate --report --truth` put it there, A
to B first. Needs no TensorFlow.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tfcyclegan.system import files
from tfcyclegan.training import whole_pictures
from tfcyclegan.training.strips import join

QUALITY = 88
"""Of the JPEG: relief is as costly as noise, and above this only its size grows."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run_dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    rows = sorted(whole_pictures.read(options.run_dir), key=lambda picture: picture.direction)
    if not rows:
        parser.error(f"{options.run_dir}: its report shows no whole pictures; see make demo")
    pixels = [np.asarray(Image.open(io.BytesIO(row.content)).convert("RGB")) for row in rows]
    stream = io.BytesIO()
    Image.fromarray(join(pixels, axis=0)).save(stream, "JPEG", quality=QUALITY, optimize=True)
    files.write_bytes(options.output, stream.getvalue())
    print(f"{options.output}: {', '.join(row.name for row in rows)}; {stream.tell() // 1000} kB")


if __name__ == "__main__":
    main()
