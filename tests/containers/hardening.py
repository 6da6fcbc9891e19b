"""What each running container may do, and what Docker shows of it."""

import json
import re

import httpx
from containers.docker import Compose, execute, inspect
from containers.project import Secrets
from containers.report import Report


def look(report: Report, compose: Compose, secrets: Secrets) -> None:
    """All containers, from the outside and from the inside."""
    for name in compose.containers():
        seen = inspect(name)
        host, wrong = seen["HostConfig"], []
        status = execute(name, "cat /proc/1/status")
        if not host["ReadonlyRootfs"] or "read-only" not in execute(name, "touch /x 2>&1 | tr R r", ok=False):
            wrong.append("it can write outside /tmp")
        if re.search(r"^Uid:\s+0\b", status, re.MULTILINE):
            wrong.append("it runs as root")
        if not re.search(r"^CapEff:\s+0+$", status, re.MULTILINE) or not re.search(
            r"^NoNewPrivs:\s+1$", status, re.MULTILINE
        ):
            wrong.append("it has or may gain privileges")
        if not host["Memory"] or not host["PidsLimit"]:
            wrong.append("it may take all memory or processes")
        wrong += [f"docker inspect shows the secret of {secret}" for secret in secrets.shown_in(json.dumps(seen))]
        ports = [binding["HostIp"] for bindings in (host["PortBindings"] or {}).values() for binding in bindings]
        if set(ports) - {"127.0.0.1"}:
            wrong.append("other machines reach it")
        report.check(
            not wrong, f"{name}: {', '.join(wrong) or 'read-only, not root, no capabilities, bounded, no secret shown'}"
        )


def look_at_flower(report: Report, compose: Compose, secrets: Secrets) -> None:
    """Its login, and that it sees the workers."""
    user, _, password = secrets.flower_login.partition(":")
    with httpx.Client(base_url=compose.address("flower", 5555)) as client:
        codes = [client.get(page).status_code for page in ("/", "/api/workers", "/broker")]
        report.check(codes == [401] * 3, f"Flower without its password: {codes}")
        codes = [client.get("/", auth=(user, guess)).status_code for guess in ("wrong", password)]
        report.check(codes == [401, 200], f"Flower with a wrong password and its own: {codes}")

        def workers() -> int:
            seen = client.get("/api/workers", params={"refresh": "1"}, auth=(user, password), timeout=30)
            return len(seen.json()) if seen.is_success else 0

        report.until(lambda: workers() == 3, "Flower shows three workers")
