"""Opens the engine that the options choose."""

import dataclasses
from pathlib import Path

from tfcyclegan.config import flag_name
from tfcyclegan.config.engines import BEAM, LOCAL, EngineOptions
from tfcyclegan.engines.beam import Beam
from tfcyclegan.engines.jobs import Engine
from tfcyclegan.engines.spark import Spark
from tfcyclegan.errors import UserError
from tfcyclegan.system import places


def open_engine(options: EngineOptions) -> Engine | None:
    """The engine; None for this process.

    Raises:
        UserError: it is not installed or does not accept its flags, or a path is on a store.
    """
    if options.engine_name == LOCAL:
        return None
    for field in dataclasses.fields(options):
        value = str(getattr(options, field.name))
        if any(places.on_store(Path(part)) for part in value.split(",")):
            raise UserError(
                f"--{flag_name(field)}={value}: is on a store, but the workers of "
                f"--engine={options.engine_name} share files by their paths; give a path on a file "
                "system that all of them see"
            )
    if options.engine_name == BEAM:
        return Beam.of(options.beam_flags)
    return Spark.of(options.spark_properties)
