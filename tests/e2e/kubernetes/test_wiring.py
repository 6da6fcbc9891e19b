"""The manifests fit together and fit Pushlane: names, commands, settings, probes, and the least that pods may do."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.manifests import SECRETS, container, environment_of, kustomization, of_kind, pod, settings_file, workloads
from support.monitoring_files import RULES, alerts
from support.processes import environment

from pushlane.callback.settings import load_callback_settings
from pushlane.errors import SettingsError
from pushlane.keys import channel_prefix
from pushlane_worker.cli.program import pushlane
from pushlane_worker.settings import load_addresses, load_settings, load_worker_settings

FLOWER = {"pushlane-flower/login": "admin:made-up"}
FILES = {"redis-password": "pass", "support-token": "token", "shop-key": "made-up-and-long-enough-for-a-key"}
"""What the Secret with the files has."""
PODS = RULES.with_name("kubernetes.yaml")
(JOBS,) = set(re.findall(r'job=~"([^"]+)"', alerts()["PushlaneTargetsDown"]["expr"]))
"""The jobs that the alerts expect."""
COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "compose.yaml").read_text())["services"]
WORKLOADS = ["worker", "callback", "flower"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where these files are, in a folder without a ``pushlane.toml``."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tell(name: str, files: Path, patch: pytest.MonkeyPatch, **more: str) -> None:
    """Gives this process the environment of the workload's container."""
    for variable, value in (environment_of(name, FLOWER) | more).items():
        patch.setenv(variable, value.replace(SECRETS, str(files)))


def test_there_are_these_workloads() -> None:
    """The tests below miss none."""
    assert sorted(workloads()) == sorted(WORKLOADS)


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_run_with_the_least_they_need(name: str) -> None:
    """Not as root, read-only, without capabilities, privileges or a token of the cluster."""
    spec, one = pod(name), container(name)
    assert spec["automountServiceAccountToken"] is False
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == set(one["resources"])


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_have_probes_and_time_to_end(name: str) -> None:
    """At least the time that compose gives them."""
    assert {"startupProbe", "livenessProbe"} <= set(container(name))
    seconds = int(COMPOSE[name]["stop_grace_period"].removesuffix("s"))
    assert pod(name)["terminationGracePeriodSeconds"] >= seconds + _sleeps(name)


def _sleeps(name: str) -> int:
    pre_stop = container(name).get("lifecycle", {}).get("preStop", {})
    return int(pre_stop.get("sleep", {}).get("seconds", 0))


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_selects_its_own_pods(name: str) -> None:
    """And no other's."""
    labels = workloads()[name]["template"]["metadata"]["labels"]
    assert workloads()[name]["selector"]["matchLabels"] == labels
    assert labels["app.kubernetes.io/component"] == name
    for spread in pod(name).get("topologySpreadConstraints", []):
        assert spread["labelSelector"]["matchLabels"] == labels


@pytest.mark.parametrize("name", ["worker", "callback"])
def test_a_disruption_budget_selects_the_pods(name: str) -> None:
    """Of the workload that it is called after."""
    budget = of_kind("PodDisruptionBudget")[f"pushlane-{name}"]
    assert budget["selector"]["matchLabels"] == workloads()[name]["template"]["metadata"]["labels"]


def test_the_service_leads_to_the_callback() -> None:
    """By the port that the container names, which is the one that it listens on."""
    (service,) = of_kind("Service").values()
    assert service["selector"] == workloads()["callback"]["template"]["metadata"]["labels"]
    (port,) = container("callback")["ports"]
    assert [one["targetPort"] for one in service["ports"]] == [port["name"]]
    command = container("callback")["command"]
    assert command[command.index("--port") + 1] == str(port["containerPort"])
    assert workloads()["callback"]["serviceName"] in of_kind("Service")


@pytest.mark.parametrize(("name", "ports"), [("flower", []), ("worker", ["metrics"])])
def test_nobody_reaches_flower_or_more_of_a_worker_than_its_metrics(name: str, ports: list[str]) -> None:
    """Its policy selects it, and lets in what it names."""
    policy = of_kind("NetworkPolicy")[f"pushlane-{name}"]
    assert policy["podSelector"]["matchLabels"] == workloads()[name]["template"]["metadata"]["labels"]
    assert policy["policyTypes"] == ["Ingress"]
    opened = [port["port"] for rule in policy.get("ingress", []) for port in rule["ports"]]
    assert opened == ports
    assert set(opened) <= {port["name"] for port in container(name)["ports"]}


def test_prometheus_finds_what_has_metrics() -> None:
    """Workers at the port that they are told, and the callback; under the names of jobs that the alerts expect."""
    command, (port,) = container("worker")["command"], container("worker")["ports"]
    assert command[command.index("--metrics-port") + 1] == str(port["containerPort"])
    (job,) = yaml.safe_load(PODS.read_text())["scrape_configs"]
    (discovery,) = job["kubernetes_sd_configs"]
    key, _, value = discovery["selectors"][0]["label"].partition("=")
    keep, rename = job["relabel_configs"][:2]
    label = "app.kubernetes.io/component"
    source = ["__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", label)]
    assert (keep["source_labels"], rename["source_labels"]) == (source, source)
    assert rename["target_label"] == "job"
    for name in WORKLOADS:
        labels = workloads()[name]["template"]["metadata"]["labels"]
        assert labels[key] == value
        assert bool(re.fullmatch(keep["regex"], labels[label])) == (name in {"worker", "callback"})
        assert re.fullmatch(JOBS, rename["replacement"].replace("$1", labels[label]))


@pytest.mark.parametrize("name", WORKLOADS)
def test_all_run_the_one_image(name: str) -> None:
    """Its name and tag are in the kustomization."""
    assert [container(name)["image"]] == [image["name"] for image in kustomization()["images"]]


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_volumes_are_there(name: str) -> None:
    """Every mount has its volume, and every volume is mounted; /tmp is one, since nothing else is writable."""
    mounts = {mount["name"]: mount["mountPath"] for mount in container(name)["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in workloads()[name].get("volumeClaimTemplates", [])}
    assert set(mounts) == {volume["name"] for volume in pod(name)["volumes"]} | claims
    assert mounts["tmp"] == "/tmp"  # noqa: S108 # the container's own
    assert mounts["secrets"] == SECRETS


def test_the_spool_is_on_the_disk_of_the_pod() -> None:
    """The callback's working folder, as in compose."""
    mounts = {mount["name"]: mount["mountPath"] for mount in container("callback")["volumeMounts"]}
    assert container("callback")["workingDir"] == mounts["spool"] == COMPOSE["callback"]["working_dir"]


def test_a_worker_takes_its_settings(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the manifest and of the file, once the Secret is there."""
    tell("worker", files, monkeypatch)
    settings = load_worker_settings("prefork")
    assert (set(settings.channels), settings.broker) == ({"support"}, "redis://:pass@redis.example.com:6379/0")


def test_the_callback_takes_its_settings(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with what the worker alone reads among it."""
    tell("callback", files, monkeypatch)
    assert set(load_callback_settings().api_keys) == {"shop"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_service_of_the_cluster_is_taken_for_a_setting(
    name: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes would add variables named after each Service, which a worker refuses."""
    assert pod(name)["enableServiceLinks"] is False
    tell("worker", files, monkeypatch, PUSHLANE_CALLBACK_SERVICE_HOST="10.0.0.1")
    with pytest.raises(SettingsError):
        load_settings()


@pytest.mark.parametrize("name", ["worker", "callback"])
def test_a_command_takes_its_options(name: str) -> None:
    """Each begins as that of compose, which tests start; the numbers of processes differ."""
    program, command, *options = container(name)["command"]
    assert [program, command] == COMPOSE[name]["command"][:2]
    pushlane.get_command(None, command).make_context(command, options)  # type: ignore[union-attr,arg-type] # a group needs none


def test_flowers_command_is_that_of_compose() -> None:
    """There a shell may stand around it."""
    assert shlex.join(container("flower")["command"]) in " ".join(COMPOSE["flower"]["command"])


def test_flower_has_a_login_and_no_token(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the files it has those that lead to the servers alone."""
    assert environment_of("flower", FLOWER)["FLOWER_BASIC_AUTH"] == "admin:made-up"
    (secret,) = [volume["secret"] for volume in pod("flower")["volumes"] if volume["name"] == "secrets"]
    shown = {item["path"] for item in secret["items"]}
    assert shown == {"redis-password", "broker-password", "ca.pem"}
    for name in FILES.keys() - shown:
        (files / name).unlink()
    tell("flower", files, monkeypatch)
    assert load_addresses().broker == "redis://:pass@redis.example.com:6379/0"


@pytest.mark.parametrize(("age_s", "alive"), [(0, True), (10, True), (20, False)])
def test_the_probe_of_a_worker_tells_a_late_heartbeat(tmp_path: Path, age_s: float, alive: bool) -> None:  # noqa: FBT001 # parametrized
    """It looks at the file that the worker is told to touch."""
    told = environment_of("worker", {})["PUSHLANE_HEARTBEAT_FILE"]
    file = tmp_path / "heartbeat"
    file.touch()
    os.utime(file, (time.time() - age_s,) * 2)
    for probe in ("startupProbe", "livenessProbe"):
        command = [word.replace(told, str(file)) for word in container("worker")[probe]["exec"]["command"]]
        assert str(file) in shlex.join(command)
        assert (subprocess.run(command, check=False, env=environment()).returncode == 0) is alive


def test_the_scaler_scales_the_workers() -> None:
    """It names a workload that exists, and is the only one to say how many there are."""
    ((name, scaler),) = of_kind("ScaledObject").items()
    target: dict[str, Any] = scaler["scaleTargetRef"]
    assert (name, target["name"]) == ("pushlane-worker", "pushlane-worker")
    assert target["name"] in of_kind(target["kind"])
    assert "replicas" not in workloads()["worker"]
    assert scaler["minReplicaCount"] >= 1
    logins = of_kind("TriggerAuthentication")
    assert {trigger["authenticationRef"]["name"] for trigger in scaler["triggers"]} == set(logins)


def test_the_scaler_reads_the_channel_of_the_example() -> None:
    """The names of the keys are those of ``keys.py``, and the target is the slots of one worker."""
    (scaler,) = of_kind("ScaledObject").values()
    prefix = channel_prefix("support")
    read = {trigger["name"]: trigger["metadata"]["listName"] for trigger in scaler["triggers"]}
    assert read == {"ready": f"{prefix}ready", "leased": f"{prefix}leases"}


def test_the_scaler_asks_the_redis_of_the_workers() -> None:
    """The same server and database, with the same password."""
    (scaler,) = of_kind("ScaledObject").values()
    for trigger in scaler["triggers"]:
        metadata = trigger["metadata"]
        url = f"{trigger['type']}://{metadata['address']}/{metadata['databaseIndex']}"
        assert url == settings_file()["PUSHLANE_REDIS_URL"]
    (login,) = of_kind("TriggerAuthentication").values()
    (password,) = login["secretTargetRef"]
    assert password == {"parameter": "password", "name": secret_of("worker"), "key": "redis-password"}
    assert settings_file()["PUSHLANE_REDIS_PASSWORD_FILE"] == f"{SECRETS}/{password['key']}"


@pytest.mark.parametrize("name", WORKLOADS)
def test_all_pods_have_the_files_of_one_secret(name: str) -> None:
    """The one that the page creates, which their user may read."""
    assert secret_of(name) == "pushlane-secrets"
    (secret,) = [volume["secret"] for volume in pod(name)["volumes"] if "secret" in volume]
    assert (secret["defaultMode"], pod(name)["securityContext"]["fsGroup"]) == (0o440, 10001)


def secret_of(name: str) -> str:
    """The name of the Secret whose files the workload has."""
    (secret,) = [volume["secret"]["secretName"] for volume in pod(name)["volumes"] if "secret" in volume]
    return str(secret)
