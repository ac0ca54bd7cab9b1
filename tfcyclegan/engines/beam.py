"""Apache Beam (`pip install 'tfcyclegan[beam]'`), on whatever its flags name as the runner."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfcyclegan.engines.jobs import require
from tfcyclegan.errors import UserError

LOCAL_RUNNER = "--runner=FnApiRunner"
"""Of flags that name no runner: Beam's default would first look for a program to download."""
DASK_PARTS = "--dask_partition_size=1"
"""Of flags that name Dask and no size: its default of 128 gives one worker all shards."""


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
        values = {name: value for name, _, value in (word.partition("=") for word in parsed)}
        if "--runner" not in values:
            parsed.append(LOCAL_RUNNER)
        elif values["--runner"].endswith("DaskRunner") and not (
            {"--dask_partition_size", "--dask_npartitions"} & values.keys()
        ):
            parsed.append(DASK_PARTS)
        return Beam(tuple(parsed))

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
