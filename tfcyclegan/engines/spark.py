"""Apache Spark (`pip install 'tfcyclegan[spark]'`, and Java): its driver is this process."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tfcyclegan.engines.jobs import require
from tfcyclegan.errors import UserError

_USUAL = {
    "spark.app.name": "tfcyclegan",
    "spark.master": "local[*]",
    "spark.ui.showConsoleProgress": "false",
    # a task is a shard: the default of 4 is for tasks of seconds
    "spark.task.maxFailures": "8",
}
"""Properties that neither the options nor spark-submit give."""


@dataclass(frozen=True)
class Spark:
    """A Spark application with some properties."""

    properties: Mapping[str, str] = field(default_factory=dict)
    name: str = "Apache Spark"

    @staticmethod
    def of(properties: Mapping[str, str]) -> "Spark":
        """Raises UserError if PySpark or Java is not installed."""
        require("pyspark", "--engine=spark", "PySpark", "spark")
        java_home = os.environ.get("JAVA_HOME")
        if not java_home and shutil.which("java") is None:
            raise UserError(
                "--engine=spark: needs Java 17 or newer; install it (on Debian "
                "openjdk-17-jre-headless), or set JAVA_HOME"
            )
        return Spark(properties)

    def run(self, work: Callable[[int], None], numbers: Sequence[int]) -> None:
        """See `Engine`. Each number is a task of its own, so a lost worker repeats only those that
        it had not finished.
        """
        from pyspark import SparkConf, SparkContext

        # workers on this path; spark.pyspark.python names another
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf = SparkConf()
        for name, value in self.properties.items():
            conf.set(name, value)
        for name, value in _USUAL.items():
            conf.setIfMissing(name, value)
        context = SparkContext(conf=conf)
        try:
            context.setLogLevel("ERROR")
            context.parallelize(list(numbers), len(numbers)).foreach(work)
        finally:
            context.stop()
