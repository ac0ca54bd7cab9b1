"""Engines that carry out the items of a job on several machines: Apache Beam and Apache Spark."""

from tfcyclegan.engines.jobs import Engine, results, working_in
from tfcyclegan.engines.opening import open_engine

__all__ = ["Engine", "open_engine", "results", "working_in"]
