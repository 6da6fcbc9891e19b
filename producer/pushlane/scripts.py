"""The Lua scripts: one file, one operation, beginning with ``#!lua``, called by EVALSHA with a fallback to loading it.

A script's header says what it does, then each ``KEYS[n] name`` and ``ARGV[n] name``, then what it returns; its line
``--- use a b`` includes ``lib_a.lua`` and ``lib_b.lua``, looked up in the worker's own folder first.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_USE = re.compile(r"^--- use (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)

PRODUCER = "pushlane"


def _read(packages: Iterable[str], name: str) -> str:
    for package in packages:
        file = files(package) / "lua" / name
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise FileNotFoundError(name)


@cache
def source(name: str, package: str = PRODUCER) -> str:
    """The whole text of the script ``name``, including the libraries that it uses.

    Args:
        name: The file's name without its extension.
        package: The package that owns the script; ``pushlane``'s own scripts and libraries are always found.
    """
    packages = (package, PRODUCER)
    shebang, _, body = _read(packages, f"{name}.lua").partition("\n")
    used = _USE.search(body)
    libraries = [_read(packages, f"lib_{library}.lua") for library in used.group(1).split()] if used else []
    return f"{shebang}\n" + _COMMENT.sub("", "\n".join([*libraries, body]))
