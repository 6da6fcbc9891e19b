"""The text is what Prometheus' own parser reads."""

import math

from support.metrics import Metrics

from pushlane.metrics.exposition import Family, expose
from pushlane.operators.overview import Histogram


def read(*families: Family) -> Metrics:
    """These, written and read."""
    return Metrics(expose(families).decode())


def test_each_sample_comes_back_with_its_labels() -> None:
    """Numbers of any size, with one label, several or none."""
    found = read(
        Family(
            "pushlane_a_total", "counter", "A.", ("channel", "outcome"), [(("one", "failed"), 10**15), (("x", ""), 0)]
        ),
        Family("pushlane_b", "gauge", "B.", (), [((), 0.1)]),
    )
    assert found.value("pushlane_a_total", channel="one", outcome="failed") == 10**15
    assert found.value("pushlane_a_total", channel="x", outcome="") == 0
    assert found.value("pushlane_b") == 0.1
    assert {name: (one.type, one.documentation) for name, one in found.families.items()} == {
        "pushlane_a": ("counter", "A."),
        "pushlane_b": ("gauge", "B."),
    }


def test_a_policy_may_have_any_name() -> None:
    """Quotes, backslashes, line breaks and other scripts end no label."""
    name = 'a"b\\c\nd},x="1"} 5 \\n ☃'
    assert read(Family("pushlane_a", "gauge", "A.", ("policy",), [((name,), 1)])).value("pushlane_a", policy=name) == 1


def test_a_histogram_has_its_buckets_count_and_sum() -> None:
    """Cumulated, and all values in the last one."""
    found = read(
        Family("pushlane_a", "histogram", "A.", ("channel",), [(("c",), Histogram({0.01: 1, 10.0: 3}, 4, 1.5))])
    )
    assert found.families["pushlane_a"].type == "histogram"
    within = {float(bound): count for bound, count in found.values("pushlane_a_bucket", "le", channel="c").items()}
    assert within == {0.01: 1, 10: 3, math.inf: 4}
    assert (found.value("pushlane_a_count", channel="c"), found.value("pushlane_a_sum", channel="c")) == (4, 1.5)


def test_a_metric_without_samples_is_named_all_the_same() -> None:
    """So that all names can be seen at any time."""
    assert list(read(Family("pushlane_a", "gauge", "A.", ("queue",), [])).families) == ["pushlane_a"]
