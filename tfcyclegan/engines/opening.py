"""Opens the engine that the options choose."""

from tfcyclegan.config.engines import BEAM, LOCAL, EngineOptions
from tfcyclegan.engines.beam import Beam
from tfcyclegan.engines.jobs import Engine
from tfcyclegan.engines.spark import Spark


def open_engine(options: EngineOptions) -> Engine | None:
    """The engine; None for this process.

    Raises:
        UserError: it is not installed, or does not accept its flags.
    """
    if options.engine_name == LOCAL:
        return None
    if options.engine_name == BEAM:
        return Beam.of(options.beam_flags)
    return Spark.of(options.spark_properties)
