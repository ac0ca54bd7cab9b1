"""Errors against the true measurement of the same place, in the units of the data: MAE, RMSE, PSNR,
SSIM and Pearson correlation, by subject, channel and region.

Everything is computed in float64 after subtracting the lower end of the value range: unsigned types
would wrap around, and SSIM and correlation lose precision in float32 far from zero. PSNR and SSIM
use the value range of the task, never that of the type or of a single picture. Pixels that are
invalid in either array are ignored. All valid pixels of a subject are pooled; its PSNR is that of
its pooled mean squared error. The scores are then averaged over subjects.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import ndimage
from skimage import metrics

from tfcyclegan.data.values import Values
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.measured_set import MeasuredSet
from tfcyclegan.measures.tables import (
    Column,
    Interval,
    Table,
    decided_if,
    interval_of_mean,
    mean_of_known,
)

SSIM_WINDOW = 11
"""Side in pixels of the Gaussian window with sigma 1.5 (Wang et al. 2004)."""
TITLE = "Truth"


@dataclass(frozen=True)
class Moments:
    """Sums over some pixels from which all errors follow, float64 [C] each; those of several
    pictures can be pooled.

    Attributes:
        count: pixels valid in both.
        absolute: sum of absolute differences.
        squared: sum of squared differences.
        mean: mean of the picture, above the lower end of the range.
        true_mean: mean of the truth, above the lower end of the range.
        spread: sum of squared deviations of the picture from its mean.
        true_spread: sum of squared deviations of the truth from its mean.
        together: sum of the products of the two deviations.
        similar: sum of SSIM over `windows`.
        windows: pixels whose whole SSIM window is valid and inside the picture.
    """

    count: np.ndarray
    absolute: np.ndarray
    squared: np.ndarray
    mean: np.ndarray
    true_mean: np.ndarray
    spread: np.ndarray
    true_spread: np.ndarray
    together: np.ndarray
    similar: np.ndarray
    windows: np.ndarray

    @classmethod
    def pooled(cls, parts: Sequence[Self]) -> Self:
        """The moments of all pixels of `parts`, with deviations from the pooled means (Chan, Golub
        and LeVeque 1983).
        """
        counts = np.stack([part.count for part in parts])
        count = counts.sum(axis=0)

        def total(values: Iterable[np.ndarray]) -> np.ndarray:
            return np.sum(list(values), axis=0)

        def mean_of(values: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            means = np.stack(list(values))
            mean = (counts * means).sum(axis=0) / np.maximum(count, 1)
            return mean, means - mean

        mean, away = mean_of(part.mean for part in parts)
        true_mean, true_away = mean_of(part.true_mean for part in parts)
        return cls(
            count,
            total(part.absolute for part in parts),
            total(part.squared for part in parts),
            mean,
            true_mean,
            total(part.spread for part in parts) + (counts * away**2).sum(axis=0),
            total(part.true_spread for part in parts) + (counts * true_away**2).sum(axis=0),
            total(part.together for part in parts) + (counts * away * true_away).sum(axis=0),
            total(part.similar for part in parts),
            total(part.windows for part in parts),
        )

    def scores(self, values: Values) -> dict[str, float]:
        """The scores by column; NaN where undefined, such as the correlation with a constant. MAE,
        RMSE, SSIM and correlation are averaged over channels. PSNR averages the squared errors
        relative to each channel's range.
        """
        width = np.asarray(values.high) - np.asarray(values.low)
        mean_squared = _over(self.squared, self.count)
        share = float(mean_of_known(mean_squared / width**2))
        product = np.sqrt(self.spread * self.true_spread)
        # Rounding leaves a constant with tiny deviations, which do not count as spread.
        flat = np.minimum(self.spread, self.true_spread) <= 1e-20 * self.count * width**2
        correlation = _over(self.together, np.where(flat, 0, product))
        return {
            "MAE": float(mean_of_known(_over(self.absolute, self.count))),
            "RMSE": float(mean_of_known(np.sqrt(mean_squared))),
            "PSNR": float("inf") if share == 0 else float(-10 * np.log10(share)),
            "SSIM": float(mean_of_known(_over(self.similar, self.windows))),
            "correlation": float(mean_of_known(correlation)),
        }

    def of_channel(self, index: int) -> Self:
        """The moments of one channel."""
        part = slice(index, index + 1)
        return type(self)(*(getattr(self, field.name)[part] for field in dataclasses.fields(self)))


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The ratio; NaN where the denominator is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def moments(
    picture: np.ndarray, truth: np.ndarray, values: Values, ids: np.ndarray | None = None
) -> dict[int, Moments]:
    """Moments of one picture, {0: over all pixels}; with `ids`, {id: over the region's pixels} for
    each region but 0.

    Args:
        picture: [H, W, C] in the units of `values`.
        truth: the true measurement, likewise.
        values: value range, and what counts as invalid.
        ids: region ids, [H, W].
    """
    valid = ~(values.invalid(picture) | values.invalid(truth))
    low, width = np.asarray(values.low), np.asarray(values.high) - np.asarray(values.low)
    one, other = (np.where(valid, array.astype(np.float64) - low, 0) for array in (picture, truth))
    similarity, whole = _ssim_map(one / width, other / width, valid)
    everywhere = np.ones(picture.shape[:2], bool)
    chosen = (
        {0: everywhere} if ids is None else {int(i): ids == i for i in np.unique(ids) if i != 0}
    )
    found = {}
    for region, where in chosen.items():
        inside = valid & where[..., np.newaxis]
        count = inside.sum(axis=(0, 1)).astype(np.float64)
        mean, true_mean = (
            (array * inside).sum(axis=(0, 1)) / np.maximum(count, 1) for array in (one, other)
        )
        away, true_away = (one - mean) * inside, (other - true_mean) * inside
        difference = (one - other) * inside
        seen = whole & inside
        found[region] = Moments(
            count,
            np.abs(difference).sum(axis=(0, 1)),
            (difference**2).sum(axis=(0, 1)),
            mean,
            true_mean,
            (away**2).sum(axis=(0, 1)),
            (true_away**2).sum(axis=(0, 1)),
            (away * true_away).sum(axis=(0, 1)),
            (similarity * seen).sum(axis=(0, 1)),
            seen.sum(axis=(0, 1)).astype(np.float64),
        )
    return found


def _ssim_map(
    one: np.ndarray, other: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """SSIM at each pixel of two pictures float64 [H, W, C] on [0, 1], and where its whole window is
    valid, which is nowhere in pictures smaller than a window.
    """
    if min(one.shape[:2]) < SSIM_WINDOW:
        return np.zeros(one.shape), np.zeros(one.shape, bool)
    _, similarity = metrics.structural_similarity(
        other,
        one,
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    # The minimum over a square window, one axis at a time; pixels outside the picture are invalid.
    whole = valid.astype(np.uint8)
    for axis in (0, 1):
        whole = ndimage.minimum_filter1d(whole, SSIM_WINDOW, axis=axis, mode="constant")
    return similarity, whole.astype(bool)


def found(scored: EvaluationSet) -> list[Table | str]:
    """All tables in units if translations are measurements, and why the other paired scores are
    missing.
    """
    if scored.measured is None or not scored.truths:
        return []
    made = tables(scored.measured, scored.partners.told or "pairs are known")
    return [
        *(decided_if(scored.partners.sure, table) for table in made),
        "truth: Lab error and LPIPS are only for pictures; measurements are scored in their units",
    ]


def tables(measured: MeasuredSet, note: str) -> list[Table]:
    """All tables that the data allow, none without truths; `note` says what the pairs rest on."""
    if not measured.truths:
        return []
    each = {
        name: {
            key: moments(pictures[key], true, measured.values)[0]
            for key, true in measured.truths.items()
        }
        for name, pictures in measured.sets.items()
    }
    by_subject = {
        name: {
            subject: Moments.pooled([found[key] for key in keys])
            for subject, keys in measured.of_subjects.items()
        }
        for name, found in each.items()
    }
    made = [_truth(measured, by_subject, note)]
    if len(measured.of_subjects) > 1:
        made += [_over_subjects(measured, by_subject), _each_subject(measured, by_subject[OWN])]
    if measured.values.channels > 1:
        made.append(_by_channel(measured, by_subject[OWN]))
    if measured.regions:
        made.append(_by_region(measured))
    return made


def _columns(measured: MeasuredSet, *, decide: bool = False) -> list[Column]:
    return [
        Column("MAE", decides=decide, digits=measured.digits),
        Column("RMSE", digits=measured.digits),
        Column("PSNR", "higher", digits=2),
        Column("SSIM", "higher", decides=decide),
        Column("correlation", "higher"),
    ]


def mean_absolute(picture: np.ndarray, truth: np.ndarray, values: Values) -> float:
    """MAE of one picture, in units."""
    return moments(picture, truth, values)[0].scores(values)["MAE"]


def _row(
    scores: Sequence[Mapping[str, float]],
    interval: Callable[[np.ndarray], Interval] = interval_of_mean,
) -> dict[str, Interval]:
    """Scores by column, from one score per subject; without columns that are NaN for all."""
    values = {column: np.array([one[column] for one in scores]) for column in scores[0]}
    return {
        column: interval(of_all) for column, of_all in values.items() if not np.isnan(of_all).all()
    }


def _quartiles(scores: np.ndarray) -> Interval:
    known = scores[~np.isnan(scores)]
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
    return Interval(float(middle), float(low), float(high), len(known))


def _truth(
    measured: MeasuredSet, by_subject: Mapping[str, Mapping[str, Moments]], note: str
) -> Table:
    values = measured.values
    several = "; scores are averaged over channels" if values.channels > 1 else ""
    return Table(
        TITLE,
        f"Against the true measurement of the same place ({note}), {measured.range_told}. All "
        "valid pixels of a subject are pooled; its PSNR is that of the pooled mean squared error. "
        "Scores are means over n subjects, and the intervals resample subjects. SSIM is computed "
        f"per slice, where its whole window of {SSIM_WINDOW} pixels is valid{several}.",
        _columns(measured, decide=True),
        {
            name: _row([one.scores(values) for one in of_subjects.values()])
            for name, of_subjects in by_subject.items()
        },
        to_beat=measured.to_beat,
    )


def _over_subjects(measured: MeasuredSet, by_subject: Mapping[str, Mapping[str, Moments]]) -> Table:
    return Table(
        "Truth, median of the subjects",
        "The same scores: median over subjects, with the first and third quartiles in brackets.",
        _columns(measured),
        {
            name: _row([one.scores(measured.values) for one in of_subjects.values()], _quartiles)
            for name, of_subjects in by_subject.items()
        },
        plot="",
    )


def _each_subject(measured: MeasuredSet, own: Mapping[str, Moments]) -> Table:
    return Table(
        "Truth by subject",
        "Scores of the translations, one row per subject; n: its pictures.",
        _columns(measured),
        {
            subject: _single(found.scores(measured.values), len(measured.of_subjects[subject]))
            for subject, found in own.items()
        },
        plot="",
    )


def _by_channel(measured: MeasuredSet, own: Mapping[str, Moments]) -> Table:
    return Table(
        "Truth by channel",
        "Scores of the translations, means over subjects.",
        _columns(measured),
        {
            name: _row(
                [
                    one.of_channel(index).scores(_channel(measured.values, index))
                    for one in own.values()
                ]
            )
            for index, name in enumerate(measured.channel_names)
        },
        plot="",
    )


def _channel(values: Values, index: int) -> Values:
    part = slice(index, index + 1)
    return Values(values.dtype, values.low[part], values.high[part], values.nodata, values.units)


def _by_region(measured: MeasuredSet) -> Table:
    """Scores of the translations by region; a subject's pixels of a region are pooled, then
    subjects are averaged.
    """
    found: dict[int, dict[str, list[Moments]]] = {}
    for subject, keys in measured.of_subjects.items():
        for key in keys:
            if key in measured.regions:
                of_picture = moments(
                    measured.sets[OWN][key],
                    measured.truths[key],
                    measured.values,
                    measured.regions[key],
                )
                for region, one in of_picture.items():
                    found.setdefault(region, {}).setdefault(subject, []).append(one)
    return Table(
        "Truth by region",
        "Scores of the translations over the pixels of each region; means over the n subjects that "
        "have it.",
        _columns(measured),
        {
            f"region {region}": _row(
                [Moments.pooled(parts).scores(measured.values) for parts in found[region].values()]
            )
            for region in sorted(found)
        },
        plot="",
    )


def _single(scores: Mapping[str, float], pictures: int) -> dict[str, Interval]:
    return {
        name: Interval(value, pictures=pictures)
        for name, value in scores.items()
        if not np.isnan(value)
    }
