"""Metrics as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

Labels = frozenset[tuple[str, str]]


class Metrics:
    """One answer of ``/metrics``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: Mapping[str, Metric] = {one.name: one for one in text_string_to_metric_families(text)}
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the sample with just these labels; None if there is none."""
        return self._samples.get((name, frozenset(labels.items())))

    def values(self, name: str, by: str, **labels: str) -> dict[str, float]:
        """The values of the samples with these labels, by another label, without those that are 0."""
        return {
            dict(found)[by]: value
            for (sample, found), value in self._samples.items()
            if sample == name and labels.items() <= dict(found).items() and value
        }

    def without(self, *names: str) -> Mapping[tuple[str, Labels], float]:
        """All samples but those of these names."""
        return {key: value for key, value in self._samples.items() if key[0] not in names}

    def __iter__(self) -> Iterator[str]:
        return iter({name for name, _ in self._samples})


def scrape(url: str, *, token: str = "") -> Metrics:
    """Those of the process at this address."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(f"{url}/metrics", headers=headers, timeout=20)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return Metrics(answer.text)
