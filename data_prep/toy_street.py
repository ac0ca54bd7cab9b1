"""`python -m data_prep.toy_street`: a synthetic street in the layouts of GTA5 and Cityscapes.

The repository's folder `toy_street/` draws it, see `toy_street/command.py`. The wheel has no such
folder: there, the command ends with a line that says where to get it, and importing this module
raises it as a `UserError`.
"""

import sys
from pathlib import Path

from tfcyclegan import __version__
from tfcyclegan.cli import run_command
from tfcyclegan.errors import UserError

CHECKOUT = Path(__file__).resolve().parents[1]

if (CHECKOUT / "toy_street").is_dir():
    # the installed package provides only tfcyclegan and data_prep, even if it is editable
    sys.path.append(str(CHECKOUT))
    from toy_street.command import EXAMPLES, SUMMARY, Config, run
else:
    _ELSEWHERE = (
        "the repository's folder toy_street/ draws the street, and is not installed; run the "
        "command in a checkout, or in the unpacked source distribution "
        f"tfcyclegan-{__version__}.tar.gz"
    )
    if __name__ == "__main__":
        print(f"data_prep.toy_street: {_ELSEWHERE}", file=sys.stderr)
        sys.exit(2)
    raise UserError(_ELSEWHERE)

__all__ = ["EXAMPLES", "SUMMARY", "Config", "run"]

if __name__ == "__main__":
    sys.exit(run_command("data_prep.toy_street", SUMMARY, EXAMPLES, Config, run))
