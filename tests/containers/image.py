"""The image: how it is built, how large it is, and what is in it."""

from containers.docker import ROOT, run
from containers.report import Report

IMAGE = "pushlane-test"
MOST_MB = 300


def build(report: Report, base: str | None) -> None:
    """Builds it; the packages come from the package index that pip on a Python image uses."""
    report.say(f"building {IMAGE} on {base or 'the base of the Dockerfile'}")
    run("docker", "build", "--quiet", "--tag", IMAGE, *(["--build-arg", f"PYTHON={base}"] if base else []), str(ROOT))


def look(report: Report) -> None:
    """Its size and its contents."""
    size = int(run("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE)) / 1e6
    ours = int(_inside("du -s --apparent-size --block-size=1000 /opt/pushlane").split()[0]) / 1000
    report.check(size < MOST_MB, f"the image has {size:.0f} MB, {ours:.0f} MB of them ours (limit {MOST_MB})")
    pip = _inside("ls /opt/pushlane/bin; find /opt/pushlane -maxdepth 5 -name pip -o -maxdepth 5 -name hatchling")
    report.check(
        "pip" not in pip and "hatchling" not in pip, "nothing in it installs packages but the base image's pip"
    )
    report.check(_inside("pushlane --version").startswith("pushlane"), "`pushlane` runs in it")


def _inside(script: str) -> str:
    return run("docker", "run", "--rm", "--network", "none", "--read-only", IMAGE, "sh", "-c", script)
