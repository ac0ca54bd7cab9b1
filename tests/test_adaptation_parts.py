"""What the arms of an adaptation are made of, against hand-computed numbers and known answers."""

import math

import numpy as np
import pytest

from tfcyclegan.adaptation import adapt
from tfcyclegan.adaptation.arm_scores import ORACLE, SOURCE_ONLY, summarize
from tfcyclegan.adaptation.fourier import fourier_transform, swap_low_frequencies
from tfcyclegan.adaptation.pseudo_labels import class_thresholds, pseudo_label
from tfcyclegan.config import AdaptConfig
from tfcyclegan.data.labels import IGNORED


def noise(seed: int, low: int = 60, high: int = 190) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (24, 32, 3), dtype=np.uint8)


def test_with_beta_0_the_mean_colour_alone_is_swapped():
    picture, style = noise(0), (noise(1) * 0.5).astype(np.uint8)
    expected = picture + (style.mean(axis=(0, 1)) - picture.mean(axis=(0, 1)))
    np.testing.assert_allclose(
        swap_low_frequencies(picture, style, 0.0), np.rint(expected.clip(0, 255)), atol=1
    )


def test_the_low_amplitudes_are_the_styles_and_the_phases_the_pictures():
    """Equation 3 through numpy's shifted spectrum, as the authors' program has it: a square of 2b +
    1 about the centre.
    """
    picture, style, beta = noise(2), noise(3), 0.1
    low = int(24 * beta)
    shifted = [
        np.fft.fftshift(np.fft.fft2(image.astype(float), axes=(0, 1)), axes=(0, 1))
        for image in (picture, style)
    ]
    amplitude = np.abs(shifted[0])
    square = (slice(12 - low, 12 + low + 1), slice(16 - low, 16 + low + 1))
    amplitude[square] = np.abs(shifted[1])[square]
    spectrum = np.fft.ifftshift(amplitude * np.exp(1j * np.angle(shifted[0])), axes=(0, 1))
    expected = np.fft.ifft2(spectrum, axes=(0, 1)).real.clip(0, 255)
    assert np.abs(swap_low_frequencies(picture, style, beta) - expected).max() <= 0.5 + 1e-6
    assert np.array_equal(swap_low_frequencies(picture, picture, beta), picture)


def test_the_style_is_drawn_from_the_generator_alone():
    transform = fourier_transform([noise(4), noise(5, 0, 60), noise(6, 190, 256)], 0.05)
    picture = noise(7)
    drawn = [transform(picture, np.random.default_rng(seed)) for seed in range(20)]
    assert np.array_equal(drawn[3], transform(picture, np.random.default_rng(3)))
    assert len({image.tobytes() for image in drawn}) == 3


def test_a_class_that_is_never_sure_keeps_its_surest_share():
    """Class 0 is .99 sure everywhere, class 1 has .10, .11 ... .99 of a hundred steps: with half
    kept it is sure from .55 on.
    """
    ids = np.array([[0] * 90, [1] * 90])
    probability = np.array([[0.99] * 90, [0.10 + 0.01 * index for index in range(90)]])
    thresholds = class_thresholds([(ids, probability)], classes=19, threshold=0.9, kept=0.5)
    assert thresholds[0] == 0.9 and thresholds[1] == pytest.approx(0.55, abs=0.002)
    assert thresholds[2] == 0.9, "a class that is never predicted keeps the common threshold"
    labelled = pseudo_label(ids, probability, thresholds)
    assert (
        (labelled[0] == 0).all()
        and (labelled[1] == 1).sum() in (45, 46)
        and set(np.unique(labelled)) == {0, 1, IGNORED}
    )
    strict = class_thresholds([(ids, probability)], classes=19, threshold=0.9, kept=0.0)
    assert (pseudo_label(ids, probability, strict)[1] == 1).sum() == 10


def test_thresholds_do_not_depend_on_how_pixels_lie_in_pictures():
    generator = np.random.default_rng(0)
    ids, probability = generator.integers(0, 19, (10, 8, 8)), generator.random((10, 8, 8))
    together = class_thresholds([(ids, probability)], classes=19, threshold=0.95, kept=0.3)
    one_by_one = class_thresholds(
        zip(ids, probability, strict=True), classes=19, threshold=0.95, kept=0.3
    )
    np.testing.assert_array_equal(together, one_by_one)


def test_the_table_by_hand():
    scores = {
        SOURCE_ONLY: {0: 20.0, 1: 30.0},
        "translated": {0: 35.0, 1: 41.0},
        ORACLE: {0: 60.0, 1: 62.0},
        "half": {1: 40.0},
    }
    source, translated, oracle, half = summarize(scores)
    assert (source.mean, source.gain, source.gap_recovered) == (25.0, 0.0, 0.0)
    assert source.spread == pytest.approx(math.sqrt(50))
    assert (translated.mean, translated.gain) == (38.0, 13.0)
    assert translated.gain_spread == pytest.approx(math.sqrt(8)), "the spread of 15 and 11"
    assert translated.gap_recovered == pytest.approx(13 / 36) and oracle.gap_recovered == 1
    assert (
        (half.mean, half.gain) == (40.0, 10.0)
        and math.isnan(half.spread)
        and math.isnan(half.gain_spread)
    )
    alone = summarize({"translated": {0: 35.0}})[0]
    assert alone.mean == 35 and math.isnan(alone.gain) and math.isnan(alone.gap_recovered)


def test_options_that_no_arm_takes_are_named():
    places = {"source_dir": "s", "target_dir": "t", "output_dir": "o", "arms": "source_only,fda"}
    assert adapt._without_effect(AdaptConfig(**places, fda_beta=0.1)) == []
    assert adapt._without_effect(AdaptConfig(**places, pseudo_kept=0.1, translator="runs/t")) == [
        "--translator=runs/t: has no effect; needs translated or translated_semantic or "
        "self_training in --arms",
        "--pseudo_kept=0.1: has no effect; needs self_training in --arms",
    ]
