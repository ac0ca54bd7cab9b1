"""The extensions of files of measurements, and the formats that they stand for."""

FORMATS = {
    ".npy": "arrays",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".dcm": "dicom",
    ".npz": "arrays",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".mat": "hdf5",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "png",
}
"""The module of `tfcyclegan.formats` for each extension."""
ENDINGS = tuple(sorted(FORMATS, key=len, reverse=True))


def ending_of(name: str) -> str:
    """The extension of a file of measurements, as spelt in its name; empty if it is not one."""
    found = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[-len(found) :] if found else ""
