"""Hooks of mkdocs.yml: documents outside of docs/ become pages, and links to other files of the
repository become their names.
"""

import posixpath
import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Page of the site by document of the repository."""

# those with a colon lead to other servers
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s:]+)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    root = posixpath.dirname(config.config_file_path)
    for document, page in PAGES.items():
        with open(posixpath.join(root, document), encoding="utf-8") as stream:
            files.append(File.generated(config, page, content=stream.read()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    where = page.file.src_uri
    source = next(
        (document for document, made in PAGES.items() if made == where),
        posixpath.join("docs", where),
    )
    return _LINK.sub(lambda link: _of_site(link, source, where), markdown)


def _of_site(link: re.Match[str], source: str, where: str) -> str:
    """A link of the document `source` as the page `where` has it."""
    mark, text, target = link.groups()
    name, hash_, anchor = target.partition("#")
    if not name:
        return link[0]
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
    if wanted not in PAGES and not re.match(r"docs/.+\.\w+$", wanted):
        return text  # not on the site
    page = PAGES.get(wanted, wanted.removeprefix("docs/"))
    return (
        f"{mark}[{text}]({posixpath.relpath(page, posixpath.dirname(where) or '.')}{hash_}{anchor})"
    )
