#!/usr/bin/env bash
# Gray pictures or ids as lossless video: FFmpeg by PyAV, x264 with pix_fmt "gray" and qp 0, read back as gray.
# Guess: bytes come back as they were, as from FFV1 and lossless HEVC of the same pictures.
# Seen (PyAV 18.1.0, OpenCV 5.0.0): H.264 comes back stretched: 0 to 16 become 0, 235 to 255 become 255, the rest is rounded between. Of the 19
# train ids of Cityscapes three are left. PyAV by "gray" and "rgb24" and OpenCV agree on it to a level. FFV1 and HEVC are exact. The stored
# luma is exact, too: it is the first rows of to_ndarray() without a format.
# Why: FFmpeg's H.264 decoder hands a gray stream out as yuv420p with empty colour, of no stated range; for yuv420p that means 16 to 235, while
# "gray", as which the others come back, counts as 0 to 255. With color_range 2 (full) set before encoding H.264 is exact.
# Who meets it: masks, depth, thermal and microscope series kept as video since x264 is everywhere and qp 0 is lossless; black, dark gray and
# all low ids are one value then, and the void id 255 stays.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 av==18.1.0 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END_OF_PYTHON'
import av
import cv2
import numpy as np

print("PyAV", av.__version__, "OpenCV", cv2.__version__)
av.logging.set_level(av.logging.ERROR)
WIDTH, HEIGHT, FULL_RANGE = 256, 64, 2
levels = np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))


def written(name: str, codec: str, options: dict[str, str], color_range: int | None = None) -> av.VideoFrame:
    """The first frame of a video of three times the same picture."""
    with av.open(name, "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        if color_range is not None:
            stream.codec_context.color_range = color_range
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format="gray")))
        container.mux(stream.encode())
    with av.open(name) as container:
        return next(container.decode(video=0))


cases = {
    "FFV1": ("ffv1.mkv", "ffv1", {}, None),
    "HEVC": ("hevc.mp4", "libx265", {"x265-params": "lossless=1:log-level=none"}, None),
    "H.264, full range": ("full.mp4", "libx264", {"qp": "0"}, FULL_RANGE),
    "H.264": ("plain.mp4", "libx264", {"qp": "0"}, None),
    "H.264 in Matroska": ("plain.mkv", "libx264", {"qp": "0"}, None),
}
for case, arguments in cases.items():
    frame = written(*arguments)
    gray, colours = frame.to_ndarray(format="gray"), frame.to_ndarray(format="rgb24")
    found, by_opencv = cv2.VideoCapture(arguments[0]).read()
    assert found
    assert (frame.to_ndarray()[:HEIGHT] == levels).all(), "stored without loss"
    for other in (colours, by_opencv):
        assert abs(other.astype(int) - gray[..., None]).max() <= 1
    ids = np.unique(gray[0, :19]).tolist()
    off = abs(gray.astype(int) - levels).max()
    print(f"{case:18} as {frame.format.name:8}: up to {off} levels off; ids 0 to 18 become {ids}; levels {len(np.unique(gray))}")
    if "full" in case or "H.264" not in case:
        assert (gray == levels).all()
        continue
    assert frame.format.name == "yuv420p" and frame.color_range == 0
    assert (gray[:, :17] == 0).all() and (gray[:, 235:] == 255).all()
    assert abs(gray - np.clip((levels - 16.0) * 255 / 219, 0, 255)).max() <= 1
    assert ids == [0, 1, 2] and off == 20
END_OF_PYTHON
