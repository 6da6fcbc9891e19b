"""Reads the files of a storm's folder as evidence; nothing of it still runs."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from chaos.storm.evidence import (
    Arrival,
    Asked,
    Cancel,
    Decision,
    End,
    Evidence,
    Hold,
    Push,
    Record,
    Replay,
    Strike,
    Struck,
    Unknown,
)
from chaos.storm.lines import Line, read_lines
from chaos.storm.logs import tracebacks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT_S: Final = 1.0
"""A push that the API answered within this was answered to a client that still listened."""


def gather(folder: Path) -> Evidence:
    """All evidence in the folder."""
    told = json.loads((folder / "storm.json").read_text())
    redis = json.loads((folder / "redis.json").read_text())
    storm = list(read_lines(folder / "storm.jsonl"))
    flows = {path.stem: list(read_lines(path)) for path in sorted(folder.glob("flow-*.jsonl"))}
    lines = [line for flow in flows.values() for line in flow]
    api = list(read_lines(folder / "api.jsonl"))
    channels = redis["channels"]
    return Evidence(
        on_unknown=told["on_unknown"],
        rate=(told["rate"], told["window_s"]),
        messages={one.id: one for name, flow in flows.items() for one in _messages(name, flow)},
        decisions=_decisions(lines),
        conflicts=[line["text"] for line in lines if line["kind"] == "conflict"],
        refusals=[line["error"] for line in lines if line["kind"] == "refused"],
        cancels=[one for flow in flows.values() for one in _cancels(flow)],
        arrivals=list(_arrivals(api)),
        pushes=list(_pushes(api)),
        strikes=[Strike(line["at"], _texts(line)) for line in api if line["kind"] == "struck"],
        truncations=[(line["at"], line["link"]) for line in storm if line["kind"] == "truncated"],
        standstills=[
            (line["at"] - line["late_s"], line["at"]) for line in (*storm, *api) if line["kind"] == "stood_still"
        ],
        records={name: Record(channel, **one) for channel in channels for name, one in _records(channels, channel)},
        unknown=[
            Unknown(channel, one["at"], one["ids"], one["lost"])
            for channel in channels
            for one in channels[channel]["unknown"]
        ],
        counters={
            channel: {**channels[channel]["counters"], "listed_dead": channels[channel]["dead"]} for channel in channels
        },
        leftovers=redis["leftovers"],
        skipped=[(line["channel"], line["conversation"]) for line in storm if line["kind"] == "skip"],
        replays=[Replay(line["at"], line["ids"]) for line in storm if line["kind"] == "replay"],
        struck=[
            Struck(line["at"], line["fault"], line["target"], line["begins"])
            for line in storm
            if line["kind"] == "fault"
        ],
        ends=[
            End(line["worker"], line["code"], line["asked"], line["ready"]) for line in storm if line["kind"] == "ended"
        ],
        overdue=[_overdue(line) for line in storm if line["kind"] in {"overdue", "producer_failed"}],
        tracebacks=[one for path in sorted(folder.glob("*.log")) for one in tracebacks(path)],
        finished=any(line["kind"] == "empty" for line in storm),
    )


def _overdue(line: Line) -> str:
    return f"{line.get('worker') or line.get('producer')}: {line['kind']}"


def _records(channels: dict[str, Any], channel: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from channels[channel]["records"].items()


def _messages(flow_name: str, flow: list[Line]) -> Iterator[Asked]:
    receipts: defaultdict[int, list[list[Any]]] = defaultdict(list)
    lost_ids: dict[int, str] = {}
    repeated: defaultdict[str, list[tuple[int, bool]]] = defaultdict(list)
    again = {line["n"] for line in flow if line["kind"] in {"again", "conflict"}}
    for line in flow:
        if line["kind"] == "receipts" and line["n"] in again:
            for message_id, sequence, _, duplicate in line["receipts"]:
                repeated[message_id].append((sequence, duplicate))
        elif line["kind"] == "receipts":
            receipts[line["n"]].append(line["receipts"])
        elif line["kind"] == "unanswered" and line["id"]:
            lost_ids.setdefault(line["n"], line["id"])
    for line in flow:
        if line["kind"] != "send":
            continue
        for index, (conversation, text) in enumerate(line["messages"]):
            answers = [answer[index] for answer in receipts[line["n"]]]
            known = line["ids"][index] or (answers[0][0] if answers else lost_ids.get(line["n"]))
            if known is None:
                continue  # it was never sent: not even its channel's limits could be read
            hold = line["hold"]
            yield Asked(
                id=known,
                channel=line["channel"],
                conversation=conversation,
                text=text,
                flow=flow_name,
                asked_at=line["at"],
                due=line["due"],
                expires_s=line["expires_in"],
                hold=hold and Hold(hold["key"], hold["timeout"], hold["on_timeout"] == "release"),
                receipts=[(sequence, duplicate) for _, sequence, _, duplicate in answers],
                repeats=repeated[known],
            )


def _decisions(lines: list[Line]) -> dict[str, list[Decision]]:
    found: defaultdict[str, list[Decision]] = defaultdict(list)
    for line in lines:
        if line["kind"] == "decide":
            found[line["key"]].append(Decision(line["verdict"], line["at"]))
    return dict(found)


def _cancels(flow: list[Line]) -> Iterator[Cancel]:
    asked = {line["n"]: line["id"] for line in flow if line["kind"] == "cancel"}
    for line in flow:
        if line["kind"] == "answer" and line["n"] in asked:
            yield Cancel(asked[line["n"]], line["at"], line["answer"])


def _arrivals(api: list[Line]) -> Iterator[Arrival]:
    for line in api:
        if line["kind"] == "effect":
            channel = _channel_of(line["room"])
            for text in _texts(line):
                yield Arrival(channel, line["room"], text, line["at"])


def _pushes(api: list[Line]) -> Iterator[Push]:
    took = {line["push"]: line for line in api if line["kind"] == "answered"}
    for line in api:
        if line["kind"] == "came" and line["room"] is not None:
            answer = took.get(line["push"])
            prompt = answer is not None and answer["status"] != 0 and answer["took_s"] <= PROMPT_S
            ended = line["came"] + (answer["took_s"] if answer and prompt else 0.0)
            yield Push(_channel_of(line["room"]), line["came"], ended, _texts(line))


def _texts(line: Line) -> list[str]:
    channel = _channel_of(line["room"])
    return [text if channel == "support" else str(json.loads(text)["text"]) for text in line["texts"]]


def _channel_of(room: str) -> str:
    return "support" if room.startswith("r") else "partner"
