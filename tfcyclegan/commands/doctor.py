"""`tfcyclegan doctor`."""

from tfcyclegan.config import DoctorConfig
from tfcyclegan.system import tensorflow_setup

Config = DoctorConfig
EXAMPLES = """
    tfcyclegan doctor
    tfcyclegan doctor --nomeasure
"""


def run(config: DoctorConfig) -> None:
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.diagnosis import examine

    examine(measure=config.measure)
