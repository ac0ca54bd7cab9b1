"""Further differences between a picture and its truth: PSNR, SSIM, and by class where the truth has
labels.
"""

import warnings

import numpy as np
from skimage import metrics

from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import UserError
from tfcyclegan.measures.appearance import lab

SSIM_WINDOW = 11


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures [H, W, C], in dB; infinite for equal
    ones.
    """
    squared = np.square(picture.astype(np.float64) - truth).mean()
    return float(10 * np.log10(255**2 / squared)) if squared else float("inf")


def ssim(picture: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two uint8 pictures [H, W, C], mean over channels;
    1 for equal ones.

    With the paper's Gaussian window of 11 pixels and sigma 1.5.

    Raises:
        UserError: a side is below 11 pixels.
    """
    if min(truth.shape[:2]) < SSIM_WINDOW:
        raise UserError(
            f"picture of {truth.shape[1]} x {truth.shape[0]}: SSIM needs at least {SSIM_WINDOW} "
            "pixels a side"
        )
    return float(
        metrics.structural_similarity(
            truth,
            picture,
            channel_axis=-1,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def _means_by_class(values: np.ndarray, ids: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Mean of `values` [H, W, D] over each train id's pixels, [C, D]; NaN where `ids` [H, W] have
    none.
    """
    train_ids = classes.to_train_ids(ids).ravel()
    pixels = np.bincount(train_ids, minlength=256)[: classes.count]
    flat = values.reshape(len(train_ids), -1)
    sums = np.stack(
        [
            np.bincount(train_ids, flat[:, index], minlength=256)[: classes.count]
            for index in range(flat.shape[1])
        ],
        axis=-1,
    )
    return np.divide(
        sums,
        pixels[:, np.newaxis],
        out=np.full(sums.shape, np.nan),
        where=pixels[:, np.newaxis] > 0,
    )


def class_absolute_errors(
    picture: np.ndarray, truth: np.ndarray, ids: np.ndarray, classes: ClassTable
) -> np.ndarray:
    """Mean absolute difference within each class on the scale [-1, 1] of the training, [C] in [0,
    2].

    Args:
        picture: uint8 [H, W, C].
        truth: uint8 [H, W, C].
        ids: the truth's ids (not train ids), uint8 [H, W]; a class without pixels gives NaN.
        classes: the table of the ids.
    """
    return _means_by_class(np.abs(picture.astype(np.float64) - truth) / 127.5, ids, classes).mean(
        axis=-1
    )


def class_colour_differences(
    picture: np.ndarray, truth: np.ndarray, ids: np.ndarray, classes: ClassTable
) -> np.ndarray:
    """CIE76 distance of each class's mean Lab colours, [C]: is the road road-coloured, whatever its
    texture? As above.
    """
    return np.linalg.norm(
        _means_by_class(lab(picture), ids, classes) - _means_by_class(lab(truth), ids, classes),
        axis=-1,
    )


def class_colour_difference(
    picture: np.ndarray, truth: np.ndarray, ids: np.ndarray, classes: ClassTable
) -> float:
    """Mean of `class_colour_differences` over the classes in the picture; NaN if it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        return float(np.nanmean(class_colour_differences(picture, truth, ids, classes)))
