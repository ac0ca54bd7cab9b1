"""LiteRT.js, which runs TFLite models in browsers: downloaded once from the npm registry, pinned by
hash.

Two packages of Google's LiteRT (Apache-2.0): the library with its WebAssembly files, and the small
loader that it imports.
"""

from pathlib import Path, PurePosixPath

from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.downloads import cached, from_npm, is_cached, npm_members
from tfcyclegan.system.progress import log

VERSION = "2.5.3"

_LOADER_IMPORT = 'from "@litertjs/wasm-utils"'
_RELINKED = (
    f"// Changed by tfcyclegan: the import of @litertjs/wasm-utils {VERSION} names the "
    "file beside this one.\n"
)


CORE = from_npm(
    f"@litertjs/core@{VERSION}",
    "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
    told="files",
)
LOADER = from_npm(
    f"@litertjs/wasm-utils@{VERSION}",
    "ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7",
    told="files",
)


def fetch() -> None:
    """Downloads both packages to the cache if necessary.

    Raises:
        UserError: they cannot be downloaded, or are not the pinned ones.
    """
    if not (is_cached(CORE) and is_cached(LOADER)):
        log(f"downloading LiteRT.js {VERSION} (12 MB) with npm, once; later runs need no network")
    for package in (CORE, LOADER):
        cached(package)


def unpack(directory: Path) -> None:
    """Writes index.js, its loader and the WebAssembly files into `directory`, as a page loads
    them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    core, loader = npm_members(cached(CORE)), npm_members(cached(LOADER))
    library = core["dist/index.js"].decode()
    if library.count(_LOADER_IMPORT) != 1:
        raise UserError(f"LiteRT.js {VERSION}: its index.js is not as expected")
    # Browsers know no package names, and workers no import maps.
    files.write_text(
        directory / "index.js",
        _RELINKED + library.replace(_LOADER_IMPORT, 'from "./wasm-utils.js"'),
    )
    files.write_bytes(directory / "wasm-utils.js", loader["dist/index.js"])
    for name, content in core.items():
        if name.startswith("wasm/"):
            files.write_bytes(directory / PurePosixPath(name).name, content)
