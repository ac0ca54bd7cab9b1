"""The house: imports run one way, importing is quick and quiet, no file grows past one idea."""

import ast
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "tfcyclegan"
# A module may import from its own floor and from those below.
FLOORS = (
    ("errors", "__init__"),
    ("system", "config", "pages"),
    ("flags", "data", "networks", "losses", "optimization", "measures", "engines"),
    ("methods", "formats"),
    ("training",),
    ("translation", "exports", "segmentation", "interop"),
    ("evaluation", "adaptation", "exporting", "serving", "demo", "diagnosis"),
    ("commands",),
    ("cli", "api"),
)
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "tfcyclegan":
                rooms |= (
                    {parts[1]}
                    if len(parts) > 1
                    else {alias.name for alias in node.names if alias.name in FLOOR_OF}
                )
            assert parts[0] != "data_prep", f"{path} imports data_prep"
        elif isinstance(node, ast.Import):
            rooms |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("tfcyclegan.")
            }
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path):
    own = room(path)
    assert own in FLOOR_OF, f"say on which floor {own} stands"
    upward = {other for other in imported_rooms(path) if FLOOR_OF[other] > FLOOR_OF[own]}
    assert not upward
    if own not in ("cli", "api", "commands", "flags"):
        assert "flags" not in imported_rooms(path)


def test_flags_of_absl_are_named_in_one_module():
    users = [
        path.name for path in FILES if re.search(r"\babsl\b.*\bflags\b|\bFLAGS\b", path.read_text())
    ]
    assert users == ["flags.py"]


def test_files_hold_one_idea():
    rooms = ("tfcyclegan", "data_prep", "toy_street", "benchmarks", "tests")
    lengths = {
        path: len(path.read_text().splitlines())
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
    }
    assert len(lengths) > 100
    assert {path.name: lines for path, lines in lengths.items() if lines > 500} == {}


def test_importing_the_package_is_quick_and_has_no_side_effects():
    code = (
        "import sys, tfcyclegan, tfcyclegan.cli; print(sorted({'tensorflow', 'keras', 'numpy', "
        "'PIL', 'fsspec'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.strip() == "[]" and result.stderr == ""


def test_measures_load_no_tensorflow():
    """Pictures in, numbers out."""
    names = [
        f"tfcyclegan.measures.{path.stem}" for path in (PACKAGE / "measures").glob("[a-z]*.py")
    ]
    code = f"import sys, {', '.join(names)}; print({{'tensorflow', 'keras'}} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert len(names) > 15 and result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "config", sorted(ROOT.glob("configs/**/*.cfg")), ids=lambda path: path.name
)
def test_configs_parse(config):
    from tfcyclegan import flags
    from tfcyclegan.config import AdaptConfig, TrainConfig

    assert config.read_text().startswith("# "), "a config is a lab record: it says what it is"
    if config.stem.endswith("_uda"):
        assert len(flags.parse(AdaptConfig, [f"--flagfile={config}"]).arm_names) == 7
        return
    parsed = flags.parse(TrainConfig, [f"--flagfile={config}", "--data_dir=data", "--run_dir=run"])
    assert parsed.length(1000).steps > 0
