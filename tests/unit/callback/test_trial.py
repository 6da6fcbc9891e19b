"""What `pushlane callback --try` makes of an answer."""

import json

import pytest

from pushlane.callback.tencent.answer import answer
from pushlane.callback.tencent.question import C2C
from pushlane.callback.verdict import Verdict
from pushlane_worker.cli.trial import _meaning

TEXT = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}}


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict.allow(), "allow"),
        (Verdict.discard(), "discard"),
        (Verdict.forbid(), "forbid"),
        (Verdict.forbid(code=120_001, text="Please\ndo not."), "forbid: code 120001: Please\\ndo not."),
        (Verdict.rewrite(msg_body=[TEXT]), f"rewrite: {json.dumps({'MsgBody': [TEXT]})}"),
        (Verdict.rewrite(custom_data="\x1b[2J"), 'rewrite: {"CloudCustomData": "\\u001b[2J"}'),
    ],
)
def test_each_verdict_is_told_in_a_line(verdict: Verdict, told: str) -> None:
    """As the callback would answer it; nothing of it steers a terminal."""
    assert _meaning(json.loads(answer(verdict, C2C))) == told
