"""Array files for translated measurements that do not come from a file whose format they could
keep.
"""

import io

import numpy as np

NPY, TIF = ".npy", ".tif"
ENDINGS = (NPY, TIF)


def encode(array: np.ndarray, ending: str) -> bytes:
    """The content of a file.

    Args:
        array: [H, W, C].
        ending: NPY for [H, W, C] as it is; TIF in the array's own type, as gray, with interleaved
            channels.
    """
    stream = io.BytesIO()
    if ending == NPY:
        np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
        return stream.getvalue()
    import tifffile

    one = array.shape[-1] == 1
    tifffile.imwrite(
        stream,
        np.ascontiguousarray(array[..., 0] if one else array),
        photometric="minisblack",
        planarconfig=None if one else "contig",
        metadata={"axes": "YX" if one else "YXS"},
    )
    return stream.getvalue()
