"""A run on measurements that nobody trained: data prepared from arrays, generators of random
weights.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from data_prep import arrays
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.domains import open_domains
from tfcyclegan.methods.factory import generator_settings
from tfcyclegan.networks import make_generator
from tfcyclegan.training.checkpoint_files import DIRECTORY, CheckpointFiles
from tfcyclegan.training.checkpoints import variables
from tfcyclegan.training.runs import Run, write_run


def bands(seed: int, height: int = 24, width: int = 32) -> np.ndarray:
    """Four channels of uint16; 0, which nothing has, for nodata."""
    shape = (height, width, 4)
    return np.random.default_rng(seed).integers(1, 4000, shape).astype(np.uint16)


def heat(seed: int, height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).normal(10, 5, (height, width)).astype(np.float32)


def make_data(place: Path) -> Path:
    """A: 4 channels of uint16 with a gap in a test scene; B: 1 channel of float32."""
    for split, make in (("trainA", bands), ("testA", bands), ("trainB", heat), ("testB", heat)):
        (place / "raw" / split).mkdir(parents=True)
        for number in range(2):
            scene = make(number + (10 if "test" in split else 0))
            if split == "testA" and number == 0:
                scene[3, 5] = 0
            np.save(place / "raw" / split / f"{make.__name__}{number}.npy", scene)
    arrays.run(
        arrays.Config(
            input_dir=str(place / "raw"),
            output_dir=str(place / "data"),
            name="bands2heat",
            range_a="0:4000",
            range_b="-20:40",
            nodata_a=0,
        )
    )
    return place / "data"


def make_run(data: Path, directory: Path, **options) -> Path:
    """Both directions, at the data's own size."""
    domains = open_domains(str(data))
    config = TrainConfig(
        data_dir=str(data),
        run_dir=str(directory),
        generator="resnet_1blocks",
        base_filters=4,
        init="kaiming",
        init_gain=1.0,
        channels_a=4,
        channels_b=1,
        lambda_identity=0.0,
        load_size=Size(24, 32),
        crop_size=Size(24, 32),
        **options,
    )
    networks = {
        f"gen_{direction}": make_generator(
            config.architecture, **generator_settings(config, direction), seed=0
        )
        for direction in ("ab", "ba")
    }
    directory.mkdir(parents=True)
    write_run(
        Run(
            directory,
            config,
            "float32",
            domains.fingerprint,
            tuple(networks),
            domains.title,
            values=domains.values,
        )
    )
    saved = {name: variables(network) for name, network in networks.items()}
    CheckpointFiles(tf.train.Checkpoint(**saved), directory / DIRECTORY, keep=1).save(0)
    return directory
