"""HTML pages, each a single file that opens from disk: their templates and their common style."""

import base64
from typing import Any

import jinja2

from tfcyclegan import __version__

ARROWS = {"lower": "↓", "higher": "↑", "": ""}
"""Arrows in tables and plots that show in which direction a score is better; counts and shares have
none.
"""


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
