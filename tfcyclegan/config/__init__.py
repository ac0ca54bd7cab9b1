"""Every option of every command: its default, its help and its bounds. Imports no TensorFlow."""

from tfcyclegan.config.adaptation import AdaptConfig
from tfcyclegan.config.base import (
    Options,
    Size,
    flag_name,
    option,
    option_type,
)
from tfcyclegan.config.batches import (
    INTERPOLATION_HELP,
    INTERPOLATIONS,
    MODES_WITH_CROP,
    PREPROCESS_MODES,
)
from tfcyclegan.config.commands import (
    CompareConfig,
    DoctorConfig,
    EvaluateConfig,
    ExportConfig,
    ImportConfig,
    TranslateConfig,
)
from tfcyclegan.config.demo import DemoConfig
from tfcyclegan.config.distillation import DistillConfig
from tfcyclegan.config.methods import AUGMENTED, METHODS, default_of
from tfcyclegan.config.networks import ARCHITECTURES
from tfcyclegan.config.segmentation import (
    ExportSegmenterConfig,
    SegmentConfig,
    SegmenterOptions,
    TrainSegmenterConfig,
)
from tfcyclegan.config.serving import Limits, ServeConfig
from tfcyclegan.config.training import (
    DECAYING_SCHEDULES,
    GAN_MODES,
    SCHEDULES,
    TrainConfig,
    TrainingLength,
)

__all__ = [
    "ARCHITECTURES",
    "AUGMENTED",
    "DECAYING_SCHEDULES",
    "GAN_MODES",
    "INTERPOLATIONS",
    "INTERPOLATION_HELP",
    "METHODS",
    "MODES_WITH_CROP",
    "PREPROCESS_MODES",
    "SCHEDULES",
    "AdaptConfig",
    "CompareConfig",
    "DemoConfig",
    "DistillConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExportSegmenterConfig",
    "ImportConfig",
    "Limits",
    "Options",
    "SegmentConfig",
    "SegmenterOptions",
    "ServeConfig",
    "Size",
    "TrainConfig",
    "TrainSegmenterConfig",
    "TrainingLength",
    "TranslateConfig",
    "default_of",
    "flag_name",
    "option",
    "option_type",
]
