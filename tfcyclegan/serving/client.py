"""Sends pictures to `tfcyclegan serve` or to TensorFlow Serving and writes the PNGs that come back.

    python -m tfcyclegan.serving.client \
        --url=http://127.0.0.1:8501/v1/models/satellite2map PICTURES translated

Needs only Python 3.11: this file may be copied to machines without tfcyclegan.
"""

import argparse
import base64
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class ServerError(Exception):
    """The server's refusal, or why there is no answer.

    Attributes:
        status: HTTP status; 0 if there was no answer.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def translate(url: str, pictures: Sequence[bytes], *, timeout_seconds: float = 60.0) -> list[bytes]:
    """Translates encoded pictures in one request.

    Args:
        url: URL of the model, such as http://127.0.0.1:8501/v1/models/satellite2map.
        pictures: contents of picture files, of any sizes.
        timeout_seconds: how long to wait for the connection and for each part of the answer.

    Returns:
        A PNG for each.

    Raises:
        ServerError: with the server's message.
    """
    body = {"instances": [{"b64": base64.b64encode(picture).decode()} for picture in pictures]}
    request = urllib.request.Request(
        f"{url.rstrip('/')}:predict",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
            return [
                base64.b64decode(prediction["b64"])
                for prediction in json.load(answer)["predictions"]
            ]
    except urllib.error.HTTPError as error:
        raise ServerError(error.code, _message_of(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(
            0, f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(0, f"{url}: does not answer like a model server") from error


def _message_of(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"


def translate_patiently(
    url: str, picture: bytes, *, timeout_seconds: float, patience_seconds: float
) -> bytes:
    """Translates one picture; while the server is busy (503), tries again, less often each time."""
    deadline, pause = time.monotonic() + patience_seconds, 0.5
    while True:
        try:
            return translate(url, [picture], timeout_seconds=timeout_seconds)[0]
        except ServerError as error:
            if error.status != 503 or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 8.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 all translated; 1 the server failed, or some pictures were refused or cannot be
    read; 2 the request was wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tfcyclegan.serving.client", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--url", required=True, help="URL of the model: http://HOST:PORT/v1/models/NAME"
    )
    parser.add_argument(
        "--timeout_seconds",
        type=float,
        default=60.0,
        help="how long to wait for an answer (default: 60)",
    )
    parser.add_argument(
        "--patience_seconds",
        type=float,
        default=120.0,
        help="how long to try again while the server is busy (default: 120)",
    )
    parser.add_argument("input", metavar="IN", type=Path, help="picture, or folder of pictures")
    parser.add_argument(
        "output", metavar="OUT", type=Path, help="folder for the PNGs; existing ones are kept"
    )
    options = parser.parse_args(arguments)
    folder = options.input if options.input.is_dir() else options.input.parent
    found = [options.input]
    if options.input.is_dir():
        there = sorted(
            path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
        )
        if folder.resolve() in options.output.resolve().parents:
            # otherwise a rerun would send the results of the first run
            results = folder / options.output.resolve().relative_to(folder.resolve())
            sent = [path for path in there if not path.is_relative_to(results)]
            _tell("not sent, since it lies in OUT", sorted({*there} - {*sent}))
            there = sent
        found = [path for path in there if path.suffix.lower() in ENDINGS]
        _tell(
            "not sent, since its extension is not that of a picture",
            [path for path in there if path.suffix.lower() not in ENDINGS],
        )
    if not found or not found[0].is_file():
        return _fail(f"{options.input}: no picture found", 2)
    if urllib.parse.urlsplit(options.url).scheme not in ("http", "https"):
        return _fail(f"--url={options.url}: write http://HOST:PORT/v1/models/NAME", 2)
    targets = {
        path: (options.output / path.relative_to(folder)).with_suffix(".png") for path in found
    }
    makers: dict[Path, Path] = {}
    for path, target in targets.items():
        if makers.setdefault(target, path) != path:
            return _fail(f"{makers[target]} and {path}: both would become {target}; rename one", 2)
    _tell(
        "kept, since it already exists",
        [target for target in targets.values() if target.exists()],
    )
    failed = 0
    for path, target in targets.items():
        if target.exists():
            continue
        try:
            picture = path.read_bytes()
        except OSError as error:
            failed += 1
            print(f"{path}: cannot be read: {error.strerror}", file=sys.stderr)
            continue
        try:
            png = translate_patiently(
                options.url,
                picture,
                timeout_seconds=options.timeout_seconds,
                patience_seconds=options.patience_seconds,
            )
        except ServerError as error:
            if error.status not in (400, 413):
                return _fail(str(error), 1)
            failed += 1
            print(f"{path}: {error}", file=sys.stderr)
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.partial")
            temporary.write_bytes(png)
            os.replace(temporary, target)
        except OSError as error:
            return _fail(f"{target}: cannot be written: {error.strerror}", 1)
        print(target, flush=True)
    return _fail(f"{failed} of {len(found)} pictures were not translated", 1) if failed else 0


def _tell(what: str, paths: Sequence[Path]) -> None:
    """Names the first skipped file and counts the others."""
    if paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        print(f"{paths[0]}{more}: {what}", file=sys.stderr)


def _fail(message: str, code: int) -> int:
    print(f"tfcyclegan.serving.client: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
