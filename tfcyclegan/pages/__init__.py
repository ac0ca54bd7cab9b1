"""Pages for browsers, each one file that opens from disk. Their templates and their one style lie
here.
"""

import base64
from typing import Any

import jinja2

from tfcyclegan import __version__

ARROWS = {"lower": "↓", "higher": "↑", "": ""}
"""Which way a score is better, as tables and drawings show it; counts and shares have none."""


def render(template: str, **values: Any) -> str:
    """The page that a template of this folder makes of `values`, which are escaped; templates know
    `version` and `arrows` besides.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__, "."), autoescape=True, trim_blocks=True
    )
    return environment.get_template(template).render(version=__version__, arrows=ARROWS, **values)


def data_url(png: bytes) -> str:
    """A PNG as the `src` of an <img>, so that the page is one file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
