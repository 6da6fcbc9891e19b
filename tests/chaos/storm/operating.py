"""What operators do in the middle of a storm, written down before and after: an unanswered call was perhaps done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chaos.storm.plan import CHANNELS
from redis import RedisError

from pushlane.operators.actions import Operator
from pushlane.operators.inspection import Inspector

if TYPE_CHECKING:
    from chaos.storm.stage import Stage

TRIES: Final = 100
PAUSE_S: Final = 0.1


def pause(stage: Stage, channel: str, *, paused: bool) -> None:
    """Pauses or resumes a channel."""
    with Operator(stage.server.url, by="a test") as operator:
        (operator.pause if paused else operator.resume)(channel)


def skip(stage: Stage, channel: str, count: int) -> None:
    """Sends the heads of this many blocked conversations to the dead letters."""
    with Inspector(stage.server.url) as inspector, Operator(stage.server.url, by="a test") as operator:
        for one in list(inspector.blocked(channel, count)):
            stage.lines.write("skip", channel=channel, conversation=one.conversation)
            skipped = operator.skip(channel, one.conversation)
            stage.lines.write("skipped", result=skipped.result, id=skipped.message_id)


def replay(stage: Stage, channel: str, count: int) -> None:
    """Puts this many of the latest dead letters back into the queue."""
    with Inspector(stage.server.url) as inspector, Operator(stage.server.url, by="a test") as operator:
        letters = {one.message_id: one.sequence for one in inspector.dead_letters(channel).latest(count)}
        with operator.replay(channel) as run:
            run.add(letters)
            stage.lines.write("replay", channel=channel, ids=sorted(letters))
            for _ in run.steps():
                pass
            stage.lines.write("replayed", channel=channel, count=run.replayed)


def resume_all(stage: Stage) -> None:
    """Resumes every channel, however often Redis has to be asked."""
    for channel in CHANNELS:
        for left in reversed(range(TRIES)):
            try:
                pause(stage, channel, paused=False)
                break
            except RedisError:
                if not left:
                    raise
                time.sleep(PAUSE_S)
