"""``pushlane fake-api``: runs the fake chat API."""

from typing import Any

import click
from pydantic import ValidationError

from pushlane_worker.cli.exit_codes import Failed, Refused
from pushlane_worker.fake_api.control import DEMO_APP_ID, DEMO_TOKEN, Control
from pushlane_worker.fake_api.process import run
from pushlane_worker.fake_api.rules import THIRD_PARTY_PATH

SHARE = click.FloatRange(0, 1)


@click.command("fake-api")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8400, show_default=True, type=click.IntRange(0, 65535), help="0 means any free port.")
@click.option("--app-id", default=DEMO_APP_ID, show_default=True, help="The only app ID that it knows.")
@click.option("--token", default=DEMO_TOKEN, show_default=True, help="The bearer token that it accepts.")
@click.option("--rate-limit", default="none", show_default=True, help="PUSHES/SECONDS such as 500/60s, or none.")
@click.option("--latency", default=0.0, type=click.FloatRange(0), metavar="S", help="Seconds before each answer.")
@click.option("--fail", type=SHARE, metavar="SHARE", help="The share of pushes that get an error.")
@click.option("--fail-status", default=503, show_default=True, help="The status of these errors.")
@click.option("--stall", type=SHARE, metavar="SHARE", help="The share of pushes that hang.")
@click.option("--stall-for", default=9.0, show_default=True, metavar="S", help="How long they hang, in seconds.")
@click.option("--cut", type=SHARE, metavar="SHARE", help="The share of pushes whose connection is cut.")
@click.option("--garbage", type=SHARE, metavar="SHARE", help="The share of pushes that get an unreadable answer.")
@click.option("--throttle", metavar="RETRY_AFTER", help="Answer every push with 429 and this Retry-After.")
@click.option("--down", metavar="STATUS", help="Answer every push with this status; refuse: reset every connection.")
@click.option("--reject-text", metavar="TEXT", help="Refuse pushes with this text in a message.")
@click.option("--swallow", type=click.IntRange(0), default=0, help="Lose the first message of this many pushes.")
@click.option("--swap", type=click.IntRange(0), default=0, help="Swap the first two messages of this many pushes.")
@click.option("--seed", default=0, help="The seed of the generator that draws the shares.")
def command(host: str, port: int, **options: Any) -> None:  # noqa: ANN401 - click gives each its own type
    """Run the fake chat API until Ctrl-C; print its address once it is listening.

    It checks every rule of the API, keeps what it accepts and shows it at /_record. POST to /_control changes its
    behaviour while it runs.
    """
    control = _control(**options)
    try:
        run(host, port, control, lambda url: _tell(url, control))
    except SystemExit as ending:
        raise Failed(str(ending.code)) from None


def _control(
    *,
    fail: float | None,
    fail_status: int,
    stall: float | None,
    stall_for: float,
    cut: float | None,
    garbage: float | None,
    latency: float,
    **same: Any,  # noqa: ANN401 - each its own type
) -> Control:
    faults = {
        "fail": fail and {"rate": fail, "status": fail_status},
        "stall": stall and {"rate": stall, "seconds": stall_for},
        "cut": cut and {"rate": cut},
        "garbage": garbage and {"rate": garbage},
    }
    document = {"latency_s": latency, **same} | {name: fault or None for name, fault in faults.items()}
    if (same.get("down") or "").isdecimal():
        document["down"] = int(same["down"])
    try:
        return Control.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = "--" + "-".join(str(part) for part in first["loc"][:2]).replace("_", "-")
        raise Refused(f"{option}: {first['msg']}") from None


def _tell(url: str, control: Control) -> None:
    click.echo(url)
    click.echo(
        f"the fake API is listening: app ID {control.app_id}, token {control.token}; third-party messages go to"
        f" {url}{THIRD_PARTY_PATH}; its record is at {url}/_record",
        err=True,
    )
