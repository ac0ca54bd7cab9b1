"""The hardware on which times were measured."""

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tfcyclegan.system import files
from tfcyclegan.system.hardware import cpu_flags, processor
from tfcyclegan.system.progress import log


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """The processor, its load, the date, and the versions of `packages`."""
    flags = cpu_flags()
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "instructions": [
            name
            for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
            if name in flags
        ],
        "load_average": os.getloadavg(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: metadata.version(name) for name in packages},
    }


def keep(results: Any, given: argparse.Namespace, packages: Sequence[str]) -> None:
    """Adds the machine to `results`, and writes both as JSON if `given.output` names a file."""
    described = machine(packages)
    log(
        f"{described['cpu']} ({', '.join(described['instructions'])}), load "
        f"{described['load_average'][0]:.1f}"
    )
    if given.output:
        files.write_json(
            Path(given.output), {"arguments": vars(given), "machine": described, "results": results}
        )
