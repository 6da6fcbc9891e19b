"""A storm's plan, and how its files become evidence."""

import json
from pathlib import Path

import pytest
from chaos.storm import plan
from chaos.storm.evidence import Arrival, Asked, Cancel, Decision, End, Hold, Push, Replay, Strike, Struck
from chaos.storm.gather import gather
from chaos.storm.judge import judge
from chaos.storm.lines import Line, Lines, read_lines
from chaos.storm.logs import tracebacks
from chaos.storm.nemesis import Nemesis
from chaos.storm.report import figures, verdict
from chaos.storm.sabotage import DEFECTS, copy_with

FLOW: list[Line] = [
    {"kind": "send", "at": 1.0, "n": 1, "channel": "support", "messages": [["r1", "p0a.1.0"], ["r1", "p0a.1.1"]],
     "ids": ["a", "b"], "due": None, "expires_in": 3.0, "hold": None},
    {"kind": "unanswered", "at": 1.1, "n": 1, "error": "timed out", "id": "a"},
    {"kind": "receipts", "at": 1.2, "n": 1, "receipts": [["a", 1, "queued", True], ["b", 2, "queued", True]]},
    {"kind": "send", "at": 2.0, "n": 2, "channel": "partner", "messages": [["u1", "p0a.2.0"]], "ids": [None],
     "due": None, "expires_in": None, "hold": {"key": "h", "timeout": 2.0, "on_timeout": "release"}},
    {"kind": "unanswered", "at": 2.1, "n": 2, "error": "timed out", "id": "c"},
    {"kind": "decide", "at": 2.2, "n": 3, "channel": "partner", "key": "h", "verdict": "allow"},
    {"kind": "answer", "at": 2.3, "n": 3, "answer": "allow"},
    {"kind": "cancel", "at": 2.4, "n": 4, "channel": "support", "id": "b"},
    {"kind": "answer", "at": 2.5, "n": 4, "answer": "cancelled"},
    {"kind": "again", "at": 2.6, "n": 5, "channel": "support", "key": "k"},
    {"kind": "receipts", "at": 2.7, "n": 5, "receipts": [["a", 1, "delivered", True]]},
    {"kind": "send", "at": 3.0, "n": 6, "channel": "support", "messages": [["r1", "p0a.6.0"]], "ids": [None],
     "due": None, "expires_in": None, "hold": None},
    {"kind": "unanswered", "at": 3.1, "n": 6, "error": "timed out", "id": None},
]  # fmt: skip
API: list[Line] = [
    {"kind": "came", "at": 1.5, "push": 0, "came": 1.5, "room": "r1", "texts": ["p0a.1.0"]},
    {"kind": "effect", "at": 1.5, "room": "r1", "texts": ["p0a.1.0"]},
    {"kind": "answered", "at": 1.6, "push": 0, "took_s": 0.1, "status": 200},
    {"kind": "came", "at": 2.5, "push": 1, "came": 2.5, "room": "u1", "texts": ['{"text":"p0a.2.0"}']},
    {"kind": "struck", "at": 2.5, "fault": "stall", "room": "u1", "texts": ['{"text":"p0a.2.0"}']},
    {"kind": "stood_still", "at": 2.6, "late_s": 0.5},
    {"kind": "effect", "at": 2.6, "room": "u1", "texts": ['{"text":"p0a.2.0"}']},
    {"kind": "answered", "at": 6.5, "push": 1, "took_s": 4.0, "status": 200},
]
STORM: list[Line] = [
    {"kind": "fault", "at": 1.0, "fault": "skip", "target": "support", "variant": "1", "begins": True},
    {"kind": "skip", "at": 1.0, "channel": "support", "conversation": "r1"},
    {"kind": "replay", "at": 1.1, "channel": "support", "ids": ["b"]},
    {"kind": "truncated", "at": 1.2, "link": "worker0-api"},
    {"kind": "ended", "at": 9.0, "worker": "worker0", "run": 0, "code": 0, "asked": "terminate", "ready": True},
    {"kind": "empty", "at": 9.0},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a small storm."""
    for name, lines in {"flow-p0a": FLOW, "api": API, "storm": STORM}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "storm.json").write_text(json.dumps({"on_unknown": "retry", "rate": 40, "window_s": 2.0}))
    channel = {"counters": {"accepted": 0}, "dead": 0, "unknown": [], "records": {}}
    (tmp_path / "redis.json").write_text(json.dumps({"channels": {"support": channel}, "leftovers": ["x"]}))
    (tmp_path / "worker0.0.log").write_text("all is well\n")
    return tmp_path


def test_the_files_become_evidence(folder: Path) -> None:
    """What was asked for, answered, seen and done is found again, a call whose id nobody knows left out."""
    found = gather(folder)
    assert list(found.messages.values()) == [
        Asked("a", "support", "r1", "p0a.1.0", "flow-p0a", 1.0, None, 3.0, None, [(1, True)], [(1, True)]),
        Asked("b", "support", "r1", "p0a.1.1", "flow-p0a", 1.0, None, 3.0, None, [(2, True)], []),
        Asked("c", "partner", "u1", "p0a.2.0", "flow-p0a", 2.0, None, None, Hold("h", 2.0, releases=True), [], []),
    ]
    assert found.decisions == {"h": [Decision("allow", 2.2)]}
    assert found.cancels == [Cancel("b", 2.5, "cancelled")]
    assert found.arrivals == [Arrival("support", "r1", "p0a.1.0", 1.5), Arrival("partner", "u1", "p0a.2.0", 2.6)]
    # Whose client may have given up counts at its arrival alone.
    assert found.pushes == [Push("support", 1.5, 1.6, ["p0a.1.0"]), Push("partner", 2.5, 2.5, ["p0a.2.0"])]
    assert found.standstills == [(2.1, 2.6)]
    assert found.strikes == [Strike(2.5, ["p0a.2.0"])]
    assert found.truncations == [(1.2, "worker0-api")]
    assert (found.skipped, found.replays) == ([("support", "r1")], [Replay(1.1, ["b"])])
    assert found.struck == [Struck(1.0, "skip", "support", begins=True)]
    assert found.ends == [End("worker0", 0, "terminate", ready=True)]
    assert (found.leftovers, found.tracebacks, found.finished) == (["x"], [], True)
    assert {"lost", "residue"} <= judge(found).keys(), "and its judges see that Redis has none of it"


def test_a_report_has_figures_and_what_was_found(folder: Path) -> None:
    """The first problems of each judge are printed, and how many more there are."""
    evidence = gather(folder)
    told = list(figures(evidence))
    assert told[0] == "asked for      3 messages, 2 acknowledged, 0 accepted"
    assert "at the API     2 arrivals of 2 messages in 2 pushes" in told
    many = [f"key{number} is left over" for number in range(10)]
    found = list(verdict({"residue": many}))
    assert found == ["residue: 10 found", *(f"  {one}" for one in many[:8]), "  and 2 more"]


def test_only_tracebacks_of_broken_connections_pass(tmp_path: Path) -> None:
    """Celery prints those whole; any other is recognised by its last line, also one that was cut off."""
    log = tmp_path / "worker0.0.log"
    begins = "Traceback (most recent call last):\n  File x\n"
    log.write_text(f"{begins}redis.exceptions.ConnectionError: closed\n{begins}KeyError: 'x'\nwell\n{begins}")
    assert list(tracebacks(log)) == ["worker0.0.log: KeyError: 'x'", "worker0.0.log: a traceback that does not end"]


def test_a_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    """A process that was killed in mid-write has not said it."""
    path = tmp_path / "x.jsonl"
    Lines(path).write("said", what=1)
    with path.open("a") as file:
        file.write('{"kind": "half')
    assert [line["what"] for line in read_lines(path)] == [1]


@pytest.mark.parametrize("mix", plan.MIXES)
def test_a_seed_repeats_its_plan_and_all_faults_are_over_in_time(mix: str) -> None:
    """The same seed draws the same faults, another one others; a mix keeps to its kinds."""
    faults = plan.draw(3, 60, mix)
    assert faults == plan.draw(3, 60, mix) != plan.draw(4, 60, mix)
    assert all(fault.at_s + fault.lasts_s <= 60.01 for fault in faults)
    assert {fault.kind for fault in faults} <= {kind.name for kind in plan.KINDS if mix in {kind.mix, "all"}}


def test_the_nemesis_knows_every_kind_of_fault() -> None:
    """A kind that it cannot do would end a storm in its middle."""
    assert not [kind.name for kind in plan.KINDS if not callable(getattr(Nemesis, f"_{kind.name}", None))]


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_is_in_its_copy_alone(name: str, tmp_path: Path) -> None:
    """The edit fits the scripts as they are now."""
    (source,) = copy_with(DEFECTS[name], tmp_path / "source")
    assert DEFECTS[name].new in (source / "pushlane_worker" / "lua" / DEFECTS[name].script).read_text()
