"""The manifests of ``deploy/kubernetes`` as ``kubectl apply -k`` finds them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"
SECRETS: Final = "/run/secrets"


@cache
def kustomization() -> dict[str, Any]:
    """What ``kubectl apply -k`` begins with."""
    read: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return read


@cache
def documents() -> list[dict[str, Any]]:
    """Every resource, in the order of the files."""
    texts = [(FOLDER / name).read_text() for name in kustomization()["resources"]]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def of_kind(*kinds: str) -> dict[str, Any]:
    """What each resource of these kinds specifies, by its name."""
    return {one["metadata"]["name"]: one["spec"] for one in documents() if one["kind"] in kinds}


def workloads() -> dict[str, Any]:
    """What each resource that runs pods specifies, by its name without the prefix."""
    return {name.removeprefix("pushlane-"): workload for name, workload in of_kind("Deployment", "StatefulSet").items()}


def pod(name: str) -> dict[str, Any]:
    """The pods of this workload."""
    spec: dict[str, Any] = workloads()[name]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    """Their only container."""
    (one,) = pod(name)["containers"]
    assert isinstance(one, dict)
    return one


def settings_file() -> dict[str, str]:
    """The variables that the file of settings has."""
    lines = (FOLDER / "settings.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def environment_of(name: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """A container's variables, where the keys of the Secrets have these values, such as ``pushlane-flower/login``."""
    spec = container(name)
    variables: dict[str, str] = {}
    for source in spec.get("envFrom", []):
        (generator,) = [one for one in kustomization()["configMapGenerator"] if one["name"] == _config_map(source)]
        assert generator["envs"] == ["settings.env"]
        variables |= settings_file()
    for one in spec.get("env", []):
        if "value" in one:
            variables[one["name"]] = one["value"]
            continue
        reference = one["valueFrom"]["secretKeyRef"]
        variables[one["name"]] = secrets[f"{reference['name']}/{reference['key']}"]
    return variables


def _config_map(source: Mapping[str, Any]) -> str:
    return str(source["configMapRef"]["name"])
