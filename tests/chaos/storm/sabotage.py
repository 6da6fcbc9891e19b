"""Defects that a storm must find: each an edit of the scripts, in a copy of the source that only its workers read."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Defect:
    """In this script of the worker, ``old`` becomes ``new``."""

    script: str
    old: str
    new: str


DEFECTS: Final = {
    "lease-token": Defect("lib_settle.lua", "if lease and lease.token == settled.token then", "if lease then"),
    "settle": Defect(
        "lib_settle.lua",
        "      deliver(prefix, channel, lease.ids, now, settled)\n",
        "      if now % 50 > 0 then deliver(prefix, channel, lease.ids, now, settled) end\n",
    ),
    "order": Defect(
        "lib_claim.lua",
        "    batch.ids[at], batch.records[at], batch.details[at] = id, record, details\n",
        "    table.insert(batch.ids, 1, id) table.insert(batch.records, 1, record)\n"
        "    table.insert(batch.details, 1, details)\n",
    ),
    "rate": Defect("lib_settle.lua", "    redis.call('RPUSH', prefix .. 'rate', rate_clock(gate, now) + 1)\n", ""),
}


def copy_with(defect: Defect, folder: Path) -> list[Path]:
    """A copy of both packages with the defect, as entries of ``PYTHONPATH``."""
    for package in ("pushlane", "pushlane_worker"):
        shutil.copytree(str(files(package)), folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    script = folder / "pushlane_worker" / "lua" / defect.script
    text = script.read_text()
    assert defect.old in text, "the scripts have changed: so must this defect"
    script.write_text(text.replace(defect.old, defect.new))
    return [folder]
