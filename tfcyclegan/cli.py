"""The command `tfcyclegan`: finds the command's module, parses its flags, runs it, and turns errors
into exit codes.
"""

import contextlib
import difflib
import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfcyclegan import flags
from tfcyclegan.config import Options
from tfcyclegan.errors import RunError, Stopped, UserError
from tfcyclegan.system import files, places

COMMANDS = {
    "train": "train translators between two sets of pictures",
    "translate": "translate pictures with a trained run or an exported model",
    "evaluate": "score translated test pictures against controls",
    "compare": "put evaluated runs side by side on one page",
    "distill": "train a small generator to imitate a trained run's",
    "export": "write a run's generator as SavedModel, TFLite, ONNX or OpenVINO",
    "serve": "serve an exported model over REST and gRPC",
    "demo": "run exported models in the browser: a page on this machine, or a static site",
    "adapt": "train segmenters for a target domain without labels, by translation and otherwise",
    "train_segmenter": "train a segmenter of street scenes on labelled pictures",
    "segment": "label pictures with a segmenter: PNGs of class ids and colour overlays",
    "export_segmenter": "write a segmenter as SavedModel and TFLite",
    "import_weights": (
        "make a run from weights of the official PyTorch program or of tensorflow-addons"
    ),
    "doctor": "report what is installed, what this machine has, and what that means for training",
}

_GOES_ON = "the same command continues from what is finished"
_SMALLER = (
    "use a smaller --batch_size, --crop_size or --base_filters, or end other programs, then run "
    "the same command again"
)
_REFUSALS = (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT, errno.EFBIG)

_FIRST_STEPS = """\
From two folders of pictures, pictures/trainA and pictures/trainB, to a translator:

  python -m data_prep.folders --input_dir=pictures --output_dir=data/mine
  tfcyclegan train --data_dir=data/mine --run_dir=runs/mine
  tfcyclegan translate --run_dir=runs/mine --input=PICTURES --output=translated

--help lists the flags of every command and of every data_prep script.
If one is interrupted, run the same command again to continue."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from tfcyclegan import __version__

        print(f"tfcyclegan {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        mend = f"did you mean {close[0]}?" if close else f"commands are {', '.join(COMMANDS)}"
        print(f"tfcyclegan: {name!r}: no such command; {mend}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"tfcyclegan.commands.{name}")
    return run_command(
        f"tfcyclegan {name}",
        COMMANDS[name],
        module.EXAMPLES,
        module.Config,
        module.run,
        arguments[1:],
    )


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(["usage: tfcyclegan COMMAND [--flags]", "", *lines, "", _FIRST_STEPS])


def run_command(
    name: str,
    summary: str,
    examples: str,
    config_class: type[Options],
    run: Callable[[Any], object],
    arguments: Sequence[str] | None = None,
) -> int:
    """Parses `arguments` into `config_class`, calls `run` with it and returns the exit code.

    Exit codes: 0 done; 1 the run failed; 2 the request was wrong; 130 interrupted; 143 terminated.
    Also used by `data_prep` scripts.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # users can do nothing about TensorFlow's start-up messages
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        if flags.asks_for_help(arguments):
            print(flags.help_text(name, summary, examples, config_class), end="")
            return 0
        config = flags.parse(config_class, arguments)
        with _termination_raised(), places.at_hand(config) as config:
            run(config)
    except UserError as error:
        return _fail(name, error, 2)
    except RunError as error:
        return _fail(name, error, 1)
    except Stopped as stopped:
        return _fail(name, stopped, stopped.exit_code)
    except KeyboardInterrupt:
        return _fail(name, f"interrupted; {_GOES_ON}", 128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return _fail(name, f"{error.filename}: {error.strerror}; give another path", 2)
        told = _refused_by_machine(error)
        if told is None:
            raise
        return _fail(name, told, 1)
    return 0


@contextlib.contextmanager
def _termination_raised() -> Iterator[None]:
    """Turns SIGTERM into an exception, so that unfinished files are removed; a second SIGTERM kills
    the process. Commands may set their own handlers.
    """

    def stop(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(f"stopped by SIGTERM; {_GOES_ON}", number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refused_by_machine(error: Exception) -> str | None:
    """One line if memory is exhausted or the disk is full, which Python and TensorFlow each report
    in their own way; otherwise None.
    """
    text = str(error)
    if isinstance(error, MemoryError) or (
        type(error).__name__ == "ResourceExhaustedError" and "llocat" in text
    ):
        return f"out of memory ({text.splitlines()[0][:200] if text else 'Python'}); {_SMALLER}"
    for number in _REFUSALS:
        if isinstance(error, OSError) and error.errno == number:
            return (
                f"{f'{error.filename}: ' if error.filename else ''}{error.strerror}; "
                f"{files.MAKE_ROOM}"
            )
        if os.strerror(number) in text and type(error).__module__.startswith("tensorflow"):
            return f"{text.splitlines()[0]}; {files.MAKE_ROOM}"
    return None


def _fail(name: str, message: object, code: int) -> int:
    told = places.named(" ".join(str(message).split()))
    print(f"{name}: {told}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
