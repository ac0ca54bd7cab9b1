"""`tfcyclegan serve` in a process of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen
    model: str
    gives: str
    url: str
    grpc_address: str

    @property
    def root(self) -> str:
        return self.url.split("/v1/")[0]


@contextlib.contextmanager
def serving(model_dir: Path, *flags: str) -> Iterator[Server]:
    """Serves an export on free ports of loopback while the block lasts."""
    command = [sys.executable, "-m", "tfcyclegan.cli", "serve", f"--model_dir={model_dir}", "--http_port=0", "--grpc_port=0", *flags]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ""}
    )
    try:
        lines = {}
        while len(lines) < 4:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            label, value = line.split(maxsplit=1)
            lines[label] = value.strip()
        yield Server(process, lines["model:"], lines["gives:"], lines["REST:"].removesuffix(":predict"), lines["gRPC:"])
    finally:
        process.kill()
        process.wait()
