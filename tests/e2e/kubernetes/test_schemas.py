"""Every field of the manifests is one that Kubernetes or KEDA knows: both drop or refuse a misspelt one only later."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from support.manifests import FOLDER, documents, kustomization

OLDEST = "1.30"
KEDA = jsonschema.Draft202012Validator(json.loads((Path(__file__).parents[2] / "schemas" / "keda.json").read_text()))
KUSTOMIZATION = {"apiVersion", "kind", "resources", "configMapGenerator", "images"}


def check(document: dict[str, Any], version: str) -> None:
    """Raises a ValidationError for a document that does not meet its schema; unknown fields are errors."""
    if document["apiVersion"].startswith("keda.sh/"):
        KEDA.validate(document)
    else:
        kubernetes_validate.validate(document, version, strict=True)


def misspelt(document: Any) -> Iterator[Any]:  # noqa: ANN401 # any part of a document
    """The document with one of its fields misspelt, for each field; not for names that one is free to choose."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield {f"{key}x" if key == name else key: one for key, one in document.items()}
            if name not in {"labels", "matchLabels", "selector", "requests", "limits"}:
                yield from ({**document, name: worse} for worse in misspelt(value))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from ([*document[:index], worse, *document[index + 1 :]] for worse in misspelt(value))


def title(document: dict[str, Any]) -> str:
    """What a test is called after."""
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("document", documents(), ids=title)
def test_a_manifest_meets_its_schema(document: dict[str, Any], version: str) -> None:
    """Of the oldest Kubernetes that the page names, and of the newest with a schema."""
    check(document, version)


@pytest.mark.parametrize("document", {one["kind"]: one for one in documents()}.values(), ids=title)
def test_a_misspelt_field_is_refused(document: dict[str, Any]) -> None:
    """Wherever it is in the document."""
    for name, value in document.items():
        for worse in misspelt(value):
            with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
                check({**document, name: worse}, OLDEST)


def test_the_kustomization_has_every_file() -> None:
    """And no field that this test does not know."""
    assert set(kustomization()) == KUSTOMIZATION
    assert set(kustomization()["resources"]) == {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}


def test_the_page_names_the_oldest_kubernetes() -> None:
    """The one that the manifests are checked for."""
    assert re.findall(r"Kubernetes (\d+\.\d+) or newer", (FOLDER / "README.md").read_text()) == [OLDEST]
