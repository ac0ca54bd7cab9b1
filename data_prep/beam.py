"""Apache Beam (`pip install 'tfcyclegan[beam]'`): calls a function for many items, on as many
machines as the runner has.
"""

import importlib.util
import shlex
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tfcyclegan.config import option
from tfcyclegan.errors import RunError, UserError

_LOOK_EVERY_SECONDS = 1.0

Item = TypeVar("Item")


def flags_option() -> Any:
    """The option `beam_flags` of the scripts that support Beam."""
    return option(
        "",
        "write the shards with an Apache Beam pipeline with these flags, such as "
        "--runner=FlinkRunner; empty writes them in this process",
    )


def check(flags: str) -> None:
    """Raises UserError if Beam is not installed or does not accept `flags`."""
    if importlib.util.find_spec("apache_beam") is None:
        raise UserError(
            f"--beam_flags={flags}: Apache Beam is not installed; pip install 'tfcyclegan[beam]', "
            "see docs/distributed.md"
        )
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    try:
        parsed = shlex.split(flags)
        strange = [word for word in parsed if not word.startswith("-")]
        PipelineOptions(parsed).view_as(StandardOptions)
    except (ValueError, SystemExit) as error:  # its parser exits
        raise UserError(f"--beam_flags={flags}: Beam does not accept them ({error})") from error
    if strange:
        raise UserError(
            f"--beam_flags={flags}: {strange[0]!r} is not a flag; write each as --name=value"
        )


def for_each(
    function: Callable[[Item], None],
    items: Sequence[Item],
    flags: str,
    *,
    meanwhile: Callable[[], None],
) -> None:
    """Calls `function` with each of `items` on the workers of a pipeline; both are pickled.

    Args:
        function: may be called more than once with the same item.
        items: all different.
        flags: flags of the pipeline.
        meanwhile: called here every second until the pipeline has ended.

    Raises:
        RunError: the pipeline failed.
    """
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_SECONDS):
            meanwhile()

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        with apache_beam.Pipeline(options=PipelineOptions(shlex.split(flags))) as pipeline:
            _ = (
                pipeline
                | apache_beam.Create(items)
                | apache_beam.Reshuffle()
                | apache_beam.Map(function)
            )
    except Exception as error:  # each runner raises its own types
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise RunError(
            f"Apache Beam: {lines[-1] if lines else type(error).__name__}; the same command "
            "continues from what is finished"
        ) from error
    finally:
        ended.set()
        watcher.join()
