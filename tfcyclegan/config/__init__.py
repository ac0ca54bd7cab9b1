"""Every option of every command: its default, its help and its bounds. Imports no TensorFlow."""

from tfcyclegan.config.base import Options, Size, flag_name, option, option_type
from tfcyclegan.config.commands import CompareConfig, EvaluateConfig, ExportConfig, ImportConfig, TranslateConfig
from tfcyclegan.config.training import PREPROCESS_CHOICES, TrainConfig, TrainingLength

__all__ = [
    "PREPROCESS_CHOICES",
    "CompareConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ImportConfig",
    "Options",
    "Size",
    "TrainConfig",
    "TrainingLength",
    "TranslateConfig",
    "flag_name",
    "option",
    "option_type",
]
