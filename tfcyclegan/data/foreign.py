"""File formats that occur in picture folders but are not read here, recognised by their first bytes
so that errors can name them.
"""

_MARKS = (
    (128, b"DICM", "a DICOM file"),
    (344, b"n+1\0", "a NIfTI file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF\r\n", "an HDF5 file"),
    (0, b"SIMPLE  =", "a FITS file"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance picture"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF file"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x1aE\xdf\xa3", "a Matroska video"),
    (0, b"RIFF....AVI ", "an AVI video"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    (0, b"NRRD", "an NRRD file"),
)
_SCRIPTS = {
    "a DICOM file": "dicom",
    "a NIfTI file": "nifti",
    "a NumPy array": "arrays",
    "an HDF5 file": "arrays",
}
"""The data_prep scripts that prepare their values."""

_MENDS = {
    "archive": "unpack it",
    "video": "save its frames as PNG, for example with ffmpeg -i VIDEO %06d.png",
}
_BRANDS = {
    b"heic": "a HEIC picture",
    b"heix": "a HEIC picture",
    b"mif1": "a HEIF picture",
    b"msf1": "a HEIF picture",
}


def told(content: bytes) -> str:
    """The name of an unsupported file's format and what to do; empty if unknown."""
    if content[4:8] == b"ftyp":
        name = _BRANDS.get(content[8:12], "a video")
    else:
        name = next(
            (
                name
                for place, mark, name in _MARKS
                if _matches(content[place : place + len(mark)], mark)
            ),
            "",
        )
    mend = _MENDS.get(name.rpartition(" ")[2], "save it as 8-bit or 16-bit PNG or TIFF")
    if name in _SCRIPTS:
        mend += f", or prepare its values with data_prep.{_SCRIPTS[name]}"
    return name and f"{name}, which cannot be read here; {mend}"


def _matches(found: bytes, mark: bytes) -> bool:
    """Whether the bytes match; a dot in the mark matches any byte."""
    return len(found) == len(mark) and all(
        wanted in (ord("."), byte) for byte, wanted in zip(found, mark, strict=True)
    )
