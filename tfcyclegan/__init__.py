"""Unpaired image-to-image translation with CycleGAN for TensorFlow and Keras.

The names in `__all__` are the public API. Each is loaded when it is first used, so that
`import tfcyclegan` is quick and loads no TensorFlow.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

_NAMES = {
    "api": (
        *("prepare", "train", "translate", "evaluate", "compare", "export", "import_weights"),
        *("distill", "adapt", "train_segmenter", "segment", "export_segmenter", "doctor"),
        *("load_generator", "Prepared", "Trained", "Translated", "Evaluated", "Exported"),
    ),
    "methods.cyclegan": ("CycleGAN",),
    "methods.cut": ("CUT",),
    "methods.pix2pix": ("Pix2Pix",),
    "methods.distillation": ("Distillation",),
    "methods.augmented": ("AugmentedCycleGAN",),
    "networks": (
        *("make_generator", "Generator", "ResnetGenerator", "UnetGenerator", "GraphGenerator"),
        *(
            "OwnGenerator",
            "LabelGenerator",
            "LatentGenerator",
            "AtLatent",
            "LatentEncoder",
            "Discriminator",
            "LatentDiscriminator",
            "PatchSampler",
            "InstanceNormalization",
        ),
    ),
    "losses": (
        *("absolute_error", "discriminator_loss", "generator_loss", "patch_nce_loss"),
        *("semantic_loss", "discriminator_accuracy"),
    ),
    "optimization.adam": ("Adam",),
    "errors": ("UserError", "RunError", "Stopped"),
}
_MODULES = ("api", "errors", "losses")
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [*_MODULES, *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
