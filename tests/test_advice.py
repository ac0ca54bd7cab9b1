"""Advice that a run has taken already is not given again."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.street_set import DETECTORS, street_set
from tfcyclegan import measures
from tfcyclegan.config import TrainConfig
from tfcyclegan.config.training import NetworkOptions, ObjectiveOptions, OptimizationOptions
from tfcyclegan.evaluation.scoring import measure
from tfcyclegan.measures import advice
from tfcyclegan.measures.advice import Advice, advise
from tfcyclegan.measures.findings import Finding, SetDetector

ALL = {name: one for name, one in vars(advice).items() if isinstance(one, Advice)}
TAKEN = {
    "ANTIALIAS": ({"antialias_up": True}, {"generator": "unet_256"}),
    "NOISE": ({"antialias_up": True, "noise_inputs": True}, {"generator": "unet_256"}),
    "SHARPER_DISCRIMINATOR": ({"antialias": True, "discriminator_antialias": "no"}, {}),
    "RESIZE": ({"upsampling": "resize"}, {"generator": "unet_256"}),
    "POOL": ({"pool_size": 50}, {"pool_size": 10}),
    "IDENTITY": ({"lambda_identity": 0.5}, {"lambda_identity": 0, "channels_a": 1}),
    "SMALLER_GAIN": ({"init_gain": 0.01},),
    "LARGER_CROPS": ({"preprocess": "none"},),
    "WEAKER_CYCLES": ({"lambda_a": 5, "lambda_b": 5}, {"lambda_a": 0, "lambda_b": 0}),
    "BOTH_CYCLES": ({"lambda_a": 10, "lambda_b": 10},),
    "LOWER_RATE": ({"learning_rate": 1e-4},),
    "SEMANTIC": ({"segmenter": "runs/judge"},),
    "BEST_CHECKPOINT": ({"eval_every_epochs": 0},),
    "FEWER_FILTERS": ({"base_filters": 32},),
    "CYCLE_NOISE": ({"cycle_noise": 0.05},),
    "LEAST_SQUARES": ({"gan_mode": "lsgan"},),
    "SMALLER_DISCRIMINATOR": ({"discriminator_filters": 32},),
    "LARGER_DISCRIMINATOR": ({"discriminator_filters": 128},),
}
"""Options with which a run has taken the advice, or cannot."""
OPEN = {
    "discriminator_antialias": "yes",
    "upsampling": "transposed",
    "pool_size": 0,
    "lambda_identity": 0,
    "lambda_a": 0,
    "gan_mode": "hinge",
}
"""Options of a run that has done nothing of what is advised; those left out have their defaults."""


def config(**options) -> TrainConfig:
    return TrainConfig(data_dir="data", run_dir="run", **options)


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_run_has_is_not_advised(name):
    one = ALL[name]
    assert one.text in advise(None, one) and one.text in advise(config(**OPEN), one)
    for options in TAKEN[name]:
        assert one.text not in advise(config(**options), one), options
        assert advise(config(**options), one, advice.LONGER) == advice.LONGER.text


def test_every_flag_in_advice_is_an_option_and_can_be_taken():
    options = {
        field.name
        for kind in (NetworkOptions, ObjectiveOptions, OptimizationOptions, TrainConfig)
        for field in dataclasses.fields(kind)
    }
    always = {
        "LONGER",
        "SEED",
        "MORE_DATA",
        "ALIKE_LAYOUTS",
        "ALIKE_SCALES",
        "IS_IT_TRAINING",
        "BALANCE",
    }
    assert ALL.keys() == TAKEN.keys() | always
    for one in ALL.values():
        flags = {
            word.strip("-();,").partition("=")[0]
            for word in one.text.split()
            if word.lstrip("(").startswith("--")
        }
        assert flags <= options | {"checkpoint"}, flags


def test_findings_look_at_the_run():
    """All failures at once, of a run that has set whatever a flag can set: nothing of it is
    advised.
    """
    # no ranges are asked for
    detectors = [
        (name, dataclasses.replace(one, draws=2) if isinstance(one, SetDetector) else one)
        for name, one in DETECTORS
    ]
    odd = (np.indices((64, 128)).sum(axis=0) % 2)[..., np.newaxis]
    scored = street_set(
        lambda _, picture, true: np.where(odd, 255 - true, 0).astype(np.uint8), count=8
    )
    settled = config(
        upsampling="resize",
        lambda_identity=0.5,
        init_gain=0.01,
        segmenter="runs/judge",
        lambda_a=5,
        lambda_b=5,
        learning_rate=1e-4,
        cycle_noise=0.1,
    )
    history = [{"accuracy_disc_b": accuracy} for accuracy in (0.99,) * 8]

    def said(run: TrainConfig | None) -> str:
        made = dataclasses.replace(scored, config=run, cycle="no networks", history=history)
        found, _ = measure(made, detectors)
        return "\n".join(one.helps for one in found if isinstance(one, Finding))

    of_unknown, of_settled = said(None), said(settled)
    for flag in (
        "--upsampling=resize",
        "--lambda_identity=0.5",
        "--init_gain",
        "--segmenter",
        "--pool_size=50",
        "--learning_rate",
        "lsgan",
    ):
        assert flag in of_unknown and flag not in of_settled, flag
    assert "--upsampling=resize" in said(config()), "the default upsampling is the paper's"


def test_detectors_have_no_advice_of_their_own_words():
    """Advice written into a detector would not look at the run."""
    modules = set(Path(measures.__file__).parent.glob("*.py")) - {Path(advice.__file__)}
    assert len(modules) > 15
    for module in modules:
        text = module.read_text(encoding="utf-8")
        assert not [
            flag
            for flag in (
                "--upsampling",
                "--lambda",
                "--init_gain",
                "--pool_size",
                "--gan_mode",
                "--checkpoint=",
            )
            if flag in text
        ]
