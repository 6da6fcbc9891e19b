"""``pushlane callback``: the endpoint that chat platforms and services call."""

import click

from pushlane.errors import SettingsError


@click.command("callback")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="The port.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that share it.")
def command(host: str, port: int, workers: int) -> None:
    """Answer moderation callbacks, and take decisions and messages over HTTP, until Ctrl-C."""
    try:
        from pushlane.callback.server import run  # noqa: PLC0415 # only this command needs the extra
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"pushlane", "pushlane_worker"}:
            raise
        raise SettingsError("callback", f"needs the extra: pip install 'pushlane[callback]' ({missing})") from None
    run(host, port, workers)
