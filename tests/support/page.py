"""The page for operators as a browser without a screen sees it: cookies, forms with their tokens, and sentences."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING

import httpx

from pushlane.operators.decision_list import STREAM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redis import Redis

PASSWORD = "correct-horse-battery"
NAME = "Anna Berg"
_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_TAG = re.compile(r"<[^>]*>")


def page_settings(folder: Path) -> dict[str, str]:
    """The environment of a callback with the page."""
    file = folder / "page-password"
    file.write_text(PASSWORD, encoding="utf-8")
    return {"PUSHLANE_DASHBOARD__PASSWORD_FILE": str(file)}


class Person(httpx.Client):
    """Somebody who is logged in."""

    def __init__(self, url: str, name: str = NAME) -> None:
        super().__init__(base_url=url, timeout=30)
        token = token_in(self.get("/login"))
        answer = self.post("/login", data={"csrf": token, "name": name, "password": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text

    def see(self, path: str, status: int = 200) -> str:
        """The HTML of a page."""
        answer = self.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def act(self, path: str, **form: str | Sequence[str]) -> httpx.Response:
        """The answer to a form of ours."""
        return self.post(path, data={"csrf": token_in(self.get("/")), **form})

    def do(self, path: str, **form: str | Sequence[str]) -> str:
        """The text of the page that an act leads to."""
        answer = self.act(path, **form)
        assert answer.status_code == 303, answer.text
        return text_of(self.see(answer.headers["location"]))


def token_in(answer: httpx.Response) -> str:
    """The token of the page's forms."""
    found = _TOKEN.search(answer.text)
    assert found is not None, answer.text
    return found[1]


def text_of(html: str) -> str:
    """What a person reads, on one line."""
    return " ".join(unescape(_TAG.sub(" ", html)).split())


def decide(redis: Redis, number: int, **fields: object) -> None:
    """Records a decision as moderation does, ``number`` seconds after the first."""
    decision = {
        "key": f"k{number}",
        "verdict": "allow",
        "policy": "",
        "reason": "",
        "code": None,
        "at": 1_700_000_000_000 + number * 1000,
        "took_ms": 3,
        "late": False,
        "command": "C2C.CallbackBeforeSendMsg",
        "sdk_app_id": "1400000001",
        "from": "alice",
        "to": "bob",
        "message": f"{number}_{number}_1557481126",
        **fields,
    }
    redis.xadd(STREAM, {"key": f"k{number}", "decision": json.dumps(decision)})
