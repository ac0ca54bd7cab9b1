"""Does `tfcyclegan serve` withstand heavy load? Many clients at once, good and bad requests mixed,
every answer checked.

    python -m benchmarks.serving_load --model_dir=saved_models/satellite2map --seconds=120 \
        --output=load.json

Starts its own server on loopback. Each client sends one request after another and waits a second
after a 503, as the answer requests. Pictures are crops of docs/images/satellite2map.jpg (NASA Blue
Marble) of --sizes; the expected answers are computed beforehand by the SavedModel's own
`serving_default`, and pixels may differ by one level. Clients run on the same machine and use part
of its CPU time. Exits with 1 if an answer was wrong or had an unexpected status, or if a 503 for a
full queue took over a second.
"""

import argparse
import base64
import hashlib
import http.client
import io
import json
import os
import platform
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import Progress

ROOT = Path(__file__).parents[1]
SHARES = {
    "one picture": 75,
    "three pictures": 10,
    "text": 3,
    "truncated": 3,
    "bad base64": 3,
    "no picture": 3,
    "bomb": 2,
    "large body": 1,
}
MUST_BE = {
    "text": 400,
    "truncated": 400,
    "bad base64": 400,
    "no picture": 400,
    "bomb": 413,
    "large body": 413,
}
PICTURES_OF_A_SIZE = 4
BUSY_SECONDS = 1.0


@dataclass(frozen=True)
class Request:
    """A prepared body and the expected pictures; none for a bad request."""

    kind: str
    body: bytes
    expected: tuple[np.ndarray, ...] = ()


@dataclass
class Tally:
    """The answers to all clients, by status; 0 is a broken connection."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: Counter[str] = field(default_factory=Counter)
    known: set[tuple[int, bytes]] = field(default_factory=set)
    pictures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def encoded(picture: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


def bomb() -> bytes:
    """A gray PNG of 10000x10000 in 100 KB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    side = 10_000
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(side * (side + 1)), 9))
        + chunk(b"IEND", b"")
    )


def body_of(*pictures: bytes) -> bytes:
    return json.dumps(
        {"instances": [{"b64": base64.b64encode(picture).decode()} for picture in pictures]}
    ).encode()


def make_requests(model_dir: Path, sizes: list[Size]) -> dict[str, list[Request]]:
    """Requests of each kind."""
    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    serve = tf.saved_model.load(
        str(
            max(
                (path for path in model_dir.iterdir() if path.name.isdigit()),
                key=lambda path: int(path.name),
            )
        )
    )
    source = Image.open(ROOT / "docs" / "images" / "satellite2map.jpg").convert("RGB")
    draw = random.Random(0)
    good = []
    for size in sizes:
        for index in range(PICTURES_OF_A_SIZE):
            left, top = (
                draw.randrange(source.width - size.width),
                draw.randrange(source.height - size.height),
            )
            content = encoded(
                source.crop((left, top, left + size.width, top + size.height)),
                "JPEG" if index % 2 else "PNG",
            )
            # TensorFlow and Pillow round JPEG's colours differently, so both get the pixels that
            # Pillow sees
            plain = images.encode_png(images.to_array(images.decode(content, 3)))
            answer = serve.signatures["serving_default"](image_bytes=tf.constant([plain]))[
                "image_bytes"
            ].numpy()[0]
            good.append((content, np.asarray(Image.open(io.BytesIO(answer)))))
    threes = [draw.sample(good, 3) for _ in range(8)]
    first = good[0][0]
    return {
        "one picture": [
            Request("one picture", body_of(content), (answer,)) for content, answer in good
        ],
        "three pictures": [
            Request("three pictures", body_of(*(c for c, _ in three)), tuple(a for _, a in three))
            for three in threes
        ],
        "text": [Request("text", body_of(b"not a picture at all"))],
        "truncated": [Request("truncated", body_of(first, first[: len(first) // 2]))],
        "bad base64": [Request("bad base64", b'{"instances": [{"b64": "???"}]}')],
        "no picture": [Request("no picture", body_of())],
        "bomb": [Request("bomb", body_of(bomb()))],
        "large body": [Request("large body", bytes(17 * 2**20))],
    }


def check(request: Request, status: int, content: bytes, tally: Tally) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if status == 503:
        return ""
    if not request.expected:
        return (
            ""
            if status == MUST_BE[request.kind] and "error" in json.loads(content)
            else f"{request.kind}: status {status}"
        )
    if status != 200:
        return f"{request.kind}: status {status}"
    digest = id(request), hashlib.sha256(content).digest()
    if digest in tally.known:
        return ""
    answers = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(row["b64"]))))
        for row in json.loads(content)["predictions"]
    ]
    for answer, expected in zip(answers, request.expected, strict=True):
        if answer.shape != expected.shape or np.abs(answer.astype(int) - expected).max() > 1:
            return "a wrong picture"
    tally.known.add(digest)
    return ""


def client(
    address: str,
    path: str,
    requests: dict[str, list[Request]],
    until: float,
    seed: int,
    tally: Tally,
) -> None:
    draw = random.Random(seed)
    connection = http.client.HTTPConnection(address, timeout=90)
    while time.monotonic() < until:
        kind = draw.choices(list(SHARES), list(SHARES.values()))[0]
        request = draw.choice(requests[kind])
        began = time.monotonic()
        try:
            connection.request("POST", path, request.body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            status = answer.status
            waited = status == 503 and (
                b"no answer within" in content or b"no turn within" in content
            )
            label = f"{status} after waiting" if waited else str(status)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status, label, content = 0, f"no answer ({type(error).__name__})", b""
        seconds = time.monotonic() - began
        problem = check(request, status, content, tally) if status else label
        if label == "503" and seconds > BUSY_SECONDS:
            problem = "503 took over a second"
        with tally.lock:
            tally.seconds[label].append(seconds)
            tally.pictures += len(request.expected) if status == 200 else 0
            if problem:
                tally.problems[problem] += 1
        if status == 503:
            time.sleep(1)


def memory_mb(process: int) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1000


def figures(tally: Tally, memory: list[float], seconds: float, load: float) -> dict[str, Any]:
    third = max(1, len(memory) // 3)
    return {
        "machine": (
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load "
            f"of other work {load:.1f}"
        ),
        "seconds": seconds,
        "pictures_a_second": tally.pictures / seconds,
        "answers": {
            label: {
                "count": len(times),
                **{f"p{q}": float(np.percentile(times, q)) for q in (50, 95, 99)},
                "max": max(times),
            }
            for label, times in sorted(tally.seconds.items())
        },
        "problems": dict(tally.problems),
        "peak_memory_mb": {
            "start": max(memory[:third]),
            "middle": max(memory[third : 2 * third]),
            "end": max(memory[2 * third :]),
        },
    }


def show(found: dict[str, Any]) -> None:
    table = Table("answer", "count", "p50 s", "p95 s", "p99 s", "slowest s")
    for label, row in found["answers"].items():
        table.add_row(
            label, str(row["count"]), *(f"{row[name]:.3f}" for name in ("p50", "p95", "p99", "max"))
        )
    console = Console(width=100)
    console.print(table)
    memory = ", ".join(f"{name} {value:.0f} MB" for name, value in found["peak_memory_mb"].items())
    console.print(
        f"{found['pictures_a_second']:.2f} pictures/s translated and right in "
        f"{found['seconds']:.0f} s; peak server memory {memory}"
    )
    console.print(
        f"problems: {found['problems'] or 'none'}; server ended with {found['exit_code']}; "
        f"{found['machine']}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--sizes", default="64,96x128,128", help="sizes of the pictures")
    parser.add_argument(
        "--server_flags", default="", help="more flags of tfcyclegan serve, separated by spaces"
    )
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    requests = make_requests(
        options.model_dir, [Size.parse(text) for text in options.sizes.split(",")]
    )
    command = [
        sys.executable,
        "-m",
        "tfcyclegan.cli",
        "serve",
        f"--model_dir={options.model_dir}",
        "--http_port=0",
        "--grpc_port=0",
    ]
    server = subprocess.Popen(
        [*command, *options.server_flags.split()], cwd=Path.cwd(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        line = next((line for line in server.stdout if line.startswith("REST:")), "")
        address, _, path = line.split("http://")[1].strip().partition("/")
        tally, memory = Tally(), [memory_mb(server.pid)]
        until = time.monotonic() + options.seconds
        crowd = [
            threading.Thread(
                target=client, args=(address, f"/{path}", requests, until, seed, tally), daemon=True
            )
            for seed in range(options.clients)
        ]
        began = time.monotonic()
        for each in crowd:
            each.start()
        with Progress(round(options.seconds), unit="s", label="load") as progress:
            for _ in range(round(options.seconds)):
                time.sleep(1)
                memory.append(memory_mb(server.pid))
                progress.advance()
        for each in crowd:
            each.join()
        memory.append(memory_mb(server.pid))
        found = figures(tally, memory, time.monotonic() - began, load)
        server.send_signal(signal.SIGTERM)
        found["exit_code"] = server.wait(60)
    finally:
        server.kill()
    found |= {
        "model_dir": str(options.model_dir),
        "clients": options.clients,
        "sizes": options.sizes,
        "shares": SHARES,
    }
    show(found)
    if options.output:
        files.write_json(options.output, found)
    return 1 if found["problems"] or found["exit_code"] != 128 + signal.SIGTERM else 0


if __name__ == "__main__":
    sys.exit(main())
