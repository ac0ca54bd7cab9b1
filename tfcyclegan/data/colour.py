"""Colour information in picture files that is not applied here: profiles, gammas, high dynamic
range.
"""

import struct
from collections.abc import Mapping
from typing import Any

from tfcyclegan.data.notes import LeftOut

PROFILE = LeftOut("a colour profile other than sRGB, which is not applied")
GAMMA = LeftOut("a gamma other than that of sRGB, which is not applied")
HDR = LeftOut("high dynamic range (PQ or HLG), which is not applied")

_SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""The primaries of sRGB as in profiles, adapted to D50."""
_NEAR = 0.01
_USUAL_GRAYS = ("sGray", "sRGB", "Gamma 2.2", "gamma 2.2")
_SRGB_GAMMA = 0.45455
_TRANSFERS = {"PNG": (b"cICP", 5), "AVIF": (b"colrnclx", 11)}
"""Where files of a kind store the transfer function: a marker, and the offset in bytes from its
start.
"""
_HDR = (16, 18)
_HEAD = 8192


def unapplied(kind: str, info: Mapping[str, Any], content: bytes) -> frozenset[LeftOut]:
    """The colour information in a file that is not applied, as notes.

    Args:
        kind: Pillow's name of the file's format.
        info: Pillow's information on the file.
        content: the file.
    """
    found = set()
    profile, gamma = info.get("icc_profile") or b"", info.get("gamma")
    if profile and not _is_srgb(profile):
        found.add(PROFILE)
    if gamma and "srgb" not in info and not profile and abs(gamma - _SRGB_GAMMA) > _NEAR:
        found.add(GAMMA)
    mark, offset = _TRANSFERS.get(kind, (b"", 0))
    head = content[:_HEAD]
    place = head.find(mark) if mark else -1
    if 0 <= place < len(head) - offset and head[place + offset] in _HDR:
        found.add(HDR)
    return frozenset(found)


def _is_srgb(profile: bytes) -> bool:
    """Whether the values are close to sRGB: judged by the primaries, for gray by the name."""
    space = profile[16:20]
    if space == b"GRAY":
        return any(
            name.encode(coding) in profile
            for name in _USUAL_GRAYS
            for coding in ("ascii", "utf-16-be")
        )
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        entries = [
            struct.unpack_from(">4sII", profile, 132 + 12 * index)
            for index in range(min(count, 100))
        ]
        places = {name: offset for name, offset, _ in entries}
        primaries = [
            struct.unpack_from(">3i", profile, places[name] + 8)
            for name in (b"rXYZ", b"gXYZ", b"bXYZ")
        ]
    except (struct.error, KeyError):  # a table instead of primaries, or damaged
        return False
    pairs = zip(
        (value for row in primaries for value in row),
        (value for row in _SRGB for value in row),
        strict=True,
    )
    return all(abs(value / 65536 - wanted) < _NEAR for value, wanted in pairs)
