"""HTML pages, each a single file that opens from disk: their templates and what these share.

Pictures stand in groups of tiles (`macros.html`), which `tiles.html` draws at whole multiples of
their pixels, as many side by side as the page has room for.
"""

import base64
import struct
from dataclasses import dataclass
from typing import Any

import jinja2

from tfcyclegan import __version__

ARROWS = {"lower": "↓", "higher": "↑", "": ""}
"""Arrows in tables and plots that show in which direction a score is better; counts and shares have
none.
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes:
        url: the `src` of an <img>, which holds the picture itself.
        width: in pixels.
        height: in pixels.
    """

    url: str
    width: int
    height: int


def picture(png: bytes) -> Picture:
    """A PNG as a picture of a page."""
    width, height = struct.unpack(">II", png[16:24])  # the header, always the first chunk
    return Picture(data_url(png), width, height)


def render(template: str, **values: Any) -> str:
    """Renders a template of this folder with `values`, which are escaped. Templates also get
    `version` and `arrows`.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__, "."), autoescape=True, trim_blocks=True
    )
    return environment.get_template(template).render(version=__version__, arrows=ARROWS, **values)


def data_url(png: bytes) -> str:
    """A PNG as the `src` of an <img>, which keeps the page in a single file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
