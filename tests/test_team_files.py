"""What a team's tools read beside the code: CI's matrix, the hooks of pre-commit, issue forms and
the development container. They call the Makefile, so that there is one list of checks.
"""

import json
import re

import pytest

from tests.conftest import ROOT

yaml = pytest.importorskip("yaml")
TARGETS = set(re.findall(r"^([a-z_]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def made(command: str) -> str:
    """The target of a command that is one call of make."""
    return re.fullmatch(r"make (\w+)", command)[1]


def test_ci_tests_the_pythons_that_the_package_names():
    (job,) = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"].values()
    named = re.search(
        r'Python :: \{version\}" for version in \((.+)\)\)', (ROOT / "setup.py").read_text()
    )
    assert job["strategy"]["matrix"]["python-version"] == re.findall(r'"([\d.]+)"', named[1])
    assert [made(step["run"]) for step in job["steps"] if "run" in step] == ["test"]


def test_hooks_and_container_call_targets_that_exist():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["id"]: made(hook["entry"]) for hook in repository["hooks"]}
    assert hooks == {"check": "check", "test": "test"}
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert {*hooks.values(), made(container["postCreateCommand"])} <= TARGETS


def test_issue_forms_ask_for_something():
    forms = [*(ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")]
    bodies = [yaml.safe_load(form.read_text()).get("body") for form in forms]
    assert len([body for body in bodies if body]) == len(forms) - 1, "all but config.yml"
    for body in filter(None, bodies):
        assert any(part.get("validations", {}).get("required") for part in body)
