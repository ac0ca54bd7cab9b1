"""`tfcyclegan doctor`."""

from tfcyclegan import quiet
from tfcyclegan.config import DoctorConfig

Config = DoctorConfig
EXAMPLES = """
    tfcyclegan doctor
    tfcyclegan doctor --nomeasure
"""


def run(config: DoctorConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan.doctor import examine

    examine(measure=config.measure)
