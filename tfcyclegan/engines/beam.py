"""Apache Beam (`pip install 'tfcyclegan[beam]'`), on whatever its flags name as the runner."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfcyclegan.engines.jobs import require
from tfcyclegan.errors import UserError

LOCAL_RUNNER = "--runner=FnApiRunner"
"""Of flags that name no runner: Beam's default would first look for a program to download."""


@dataclass(frozen=True)
class Beam:
    """A pipeline with some flags."""

    flags: tuple[str, ...]
    name: str = "Apache Beam"

    @staticmethod
    def of(flags: str) -> "Beam":
        """Raises UserError if Beam is not installed or does not accept `flags`."""
        given = f"--beam_flags={flags}" if flags else "--engine=beam"
        require("apache_beam", given, "Apache Beam", "beam")
        from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

        try:
            parsed = shlex.split(flags)
            strange = [word for word in parsed if not word.startswith("-")]
            PipelineOptions(parsed).view_as(StandardOptions)
        except (ValueError, SystemExit) as error:  # its parser exits
            raise UserError(f"{given}: Beam does not accept them ({error})") from error
        if strange:
            raise UserError(f"{given}: {strange[0]!r} is not a flag; write each as --name=value")
        named = any(word.partition("=")[0] == "--runner" for word in parsed)
        return Beam((*([] if named else [LOCAL_RUNNER]), *parsed))

    def run(self, work: Callable[[int], None], numbers: Sequence[int]) -> None:
        """See `Engine`. A single branch, since the runner on Dask runs only the last one."""
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions

        with apache_beam.Pipeline(options=PipelineOptions(list(self.flags))) as pipeline:
            _ = (
                pipeline
                | apache_beam.Create(list(numbers))
                | apache_beam.Reshuffle()
                | apache_beam.Map(work)
            )
