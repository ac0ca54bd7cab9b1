"""Links between the project's own documents lead somewhere."""

import dataclasses
import importlib
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.test_bad_flags import MODULES
from tfcyclegan import __version__, flags
from tfcyclegan.config import flag_name
from tfcyclegan.config.official_names import OFFICIAL_NAMES

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "findings" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_and_headings_exist(document):
    broken = []
    for link in _LINK.findall(_CODE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, wanted = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (
            wanted
            and wanted not in map(anchor, _HEADING.findall(_CODE.sub("", target.read_text())))
        ):
            broken.append(link)
    assert broken == []


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    home, python = ((tmp_path / name).read_text() for name in ("index.html", "python.html"))
    assert 'href="data.html"' in home and "configs/satellite2map.cfg" in home, (
        "README's links lead to pages, or are names"
    )
    assert 'href="contributing.html"' in python and "../CONTRIBUTING.md" not in python
    assert "tfcyclegan.api.train" in (tmp_path / "api/commands.html").read_text()


_COMMAND = re.compile(r"(?:\btfcyclegan ([a-z_]+)|\bdata_prep\.([a-z_]+))\b([^#`|]*)")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")  # flags of others, such as Beam's
_FLAG = re.compile(r"(?<![\w-])--(no)?([a-z][a-z0-9_]*)")


def commands_in(text: str) -> list[tuple[str, set[str]]]:
    """(module, flags) of each command of ours in code blocks and in code inside of lines."""
    code = "\n".join(
        [*_CODE.findall(text), *re.findall(r"`([^`\n]+)`", _CODE.sub("", text))]
    ).replace("\\\n", " ")
    found = []
    for command, script, rest in (
        match.groups() for line in code.splitlines() for match in _COMMAND.finditer(line)
    ):
        module = f"tfcyclegan.commands.{command}" if command else f"data_prep.{script}"
        if module in MODULES:
            found.append((module, {no + name for no, name in _FLAG.findall(_QUOTED.sub("", rest))}))
    return found


def test_commands_in_the_documents_have_flags_that_exist():
    wrong, count = [], 0
    for document in DOCUMENTS:
        for module, named in commands_in(document.read_text()):
            fields = dataclasses.fields(importlib.import_module(module).Config)
            known = (
                {flag_name(field) for field in fields}
                | {field.metadata["alias"] for field in fields}
                | {"flagfile", "help"}
            )
            known |= {f"no{name}" for name in known}
            wrong += [f"{document.name}: {module} --{name}" for name in named - known]
            count += len(named)
    assert wrong == [] and count > 100


def typed_commands(text: str) -> list[tuple[str, list[str]]]:
    """(module, arguments) of each command of ours that a code block has a reader type."""
    found = []
    for line in "\n".join(_CODE.findall(text)).replace("\\\n", " ").splitlines():
        match = re.match(r"(?:tfcyclegan ([a-z_]+)|python -m data_prep\.([a-z_]+)) (.*)", line)
        if not match or "..." in line:
            continue
        command, script, rest = match.groups()
        module = f"tfcyclegan.commands.{command}" if command else f"data_prep.{script}"
        if module in MODULES:
            found.append((module, shlex.split(rest, comments=True)))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_the_documents_have_readers_type_is_accepted(document):
    """By the command itself, flag files read but for those of runs; the commands are not run."""
    for module, arguments in typed_commands(document.read_text()):
        there = [word for word in arguments if not word.startswith("--flagfile=runs/")]
        flags.parse(importlib.import_module(module).Config, there)


_OF_OTHERS = {
    *OFFICIAL_NAMES,
    *("constraint", "gpus", "lerning_rate"),  # pip's, Docker's, a typo
    # Beam's
    *(
        "runner",
        "direct_num_workers",
        "direct_running_mode",
        "flink_master",
        "environment_type",
        "spark_master_url",
        "dask_client_address",
        "dask_partition_size",
        "dask_npartitions",
    ),
    *("project", "region", "temp_location", "sdk_container_image"),
}


def test_flags_named_by_themselves_exist():
    known = set()
    for module in MODULES:
        fields = dataclasses.fields(importlib.import_module(module).Config)
        known |= {
            name for field in fields for name in (flag_name(field), field.metadata["alias"])
        } | {"flagfile", "help"}
    known |= {f"no{name}" for name in known}
    for program in (*(ROOT / "benchmarks").glob("*.py"), ROOT / "tfcyclegan/serving/client.py"):
        known |= set(re.findall(r"\"--([a-z_]+)\"", program.read_text()))
    named = {
        (document.name, flag)
        for document in DOCUMENTS
        for span in re.findall(r"`(--[^`\n]+)`", _CODE.sub("", document.read_text()))
        for flag in map("".join, _FLAG.findall(span))
    }
    assert {
        (name, flag) for name, flag in named if flag not in known | _OF_OTHERS
    } == set() and len(named) > 150


def test_what_the_documents_and_configs_name_is_there():
    targets = re.findall(r"^([a-z_0-9/]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    missing, count = [], 0
    for document in (*DOCUMENTS, *(ROOT / "configs").rglob("*.cfg")):
        text = document.read_text()
        names = re.findall(
            r"(?<![\w/.])(?:configs|tests|tfcyclegan|benchmarks|docker|docs|notebooks|data_prep)/[\w./*-]*\w",
            text,
        )
        names += [f"tests/{name}" for name in re.findall(r"`(test_\w+\.py)`", text)]
        names += [
            f"{name.replace('.', '/')}.py"
            for name in re.findall(r"python -m ((?:benchmarks|data_prep)\.[a-z_0-9]+)", text)
        ]
        missing += [f"{document.name}: {name}" for name in names if not any(ROOT.glob(name))]
        made = re.findall(r"^make ([\w/]+)|`make ([\w/]+)`", text, re.MULTILINE)
        missing += [
            f"{document.name}: make {name}"
            for pair in made
            for name in pair
            if name and name not in targets
        ]
        count += len(names) + len(made)
    assert missing == [] and count > 150


def test_the_citation_names_this_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_documents_do_link():
    assert sum(len(_LINK.findall(document.read_text())) for document in DOCUMENTS) > 20
