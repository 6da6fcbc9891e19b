"""A short storm; `make chaos` lets longer ones rage."""

from pathlib import Path

import pytest
from chaos.storm.options import SendOptions
from chaos.storm.report import figures, verdict
from chaos.storm.storm import run

SEED = 3


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_storm_of_all_faults_breaks_no_promise(tmp_path: Path) -> None:
    """15 s of faults of every kind: nothing lost, invented, out of order or unexplained, and nobody died by himself."""
    folder = tmp_path / "evidence"
    evidence, problems = run(SendOptions(15, SEED), folder)
    assert not problems, "\n".join([f"see {folder}", *figures(evidence), *verdict(problems)])
