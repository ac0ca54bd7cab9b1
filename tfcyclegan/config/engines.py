"""Options of the commands that can hand their work to an engine for many machines."""

import shlex
from dataclasses import dataclass

from tfcyclegan.config.base import Options, option
from tfcyclegan.errors import UserError

LOCAL, BEAM, SPARK = ENGINES = ("local", "beam", "spark")


@dataclass(frozen=True, kw_only=True)
class EngineOptions(Options):
    """Where the work is done: in this process, or by the workers of an engine."""

    engine: str = option(
        "",
        "local works in this process, beam on Apache Beam, spark on Apache Spark, whose workers "
        "must see all paths under the same names; default: beam with --beam_flags, otherwise local",
        choices=("", *ENGINES),
    )
    beam_flags: str = option(
        "",
        "flags of the Apache Beam pipeline, such as --runner=FlinkRunner; default: Beam's "
        "FnApiRunner on this machine",
    )
    spark_conf: str = option(
        "",
        "properties of Apache Spark separated by spaces, such as "
        "spark.master=spark://HOST:7077; default: those of spark-submit, or this machine",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, engine in (("beam_flags", BEAM), ("spark_conf", SPARK)):
            given = getattr(self, name)
            if given and self.engine_name != engine:
                raise UserError(f"--{name}={given}: requires --engine={engine}")
        try:
            properties = shlex.split(self.spark_conf)
        except ValueError as error:
            raise UserError(f"--spark_conf={self.spark_conf}: {error}") from error
        for word in properties:
            name, equals, _ = word.partition("=")
            if not name.startswith("spark.") or not equals:
                raise UserError(
                    f"--spark_conf={self.spark_conf}: {word!r} is not a property; write each as "
                    "spark.NAME=VALUE"
                )

    @property
    def engine_name(self) -> str:
        """One of `ENGINES`."""
        return self.engine or (BEAM if self.beam_flags else LOCAL)

    @property
    def spark_properties(self) -> dict[str, str]:
        """`spark_conf` by name."""
        pairs = (word.partition("=") for word in shlex.split(self.spark_conf))
        return {name: value for name, _, value in pairs}
