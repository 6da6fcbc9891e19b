"""The files of the scripts."""

from __future__ import annotations

import re
from importlib.resources import files

PACKAGES = ("pushlane", "pushlane_worker")
FILES = {
    (package, file.name.removesuffix(".lua")): file.read_text(encoding="utf-8")
    for package in PACKAGES
    for file in (files(package) / "lua").iterdir()
    if file.name.endswith(".lua")
}
SCRIPTS = sorted(key for key in FILES if not key[1].startswith("lib_"))
LIBRARIES = {name: text for (_, name), text in FILES.items() if name.startswith("lib_")}


def split(text: str) -> tuple[str, list[str]]:
    """A script's header, and its body without comments and blank lines."""
    lines = text.splitlines()
    length = next(i for i, line in enumerate(lines) if not line.startswith(("#!", "--")))
    code = [line.partition(" -- ")[0] for line in lines[length:] if line.strip() and not line.strip().startswith("--")]
    return "\n".join(lines[:length]), code


def number(text: str, name: str) -> int:
    """The value of a Lua constant."""
    found = re.findall(rf"^ *local {name} = ([\d *]+)", text, re.MULTILINE)
    assert len(found) == 1, f"{name} is bound {len(found)} times"
    product = 1
    for factor in found[0].split("*"):
        product *= int(factor)
    return product
