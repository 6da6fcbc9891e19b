"""``pushlane callback``: the endpoint that chat platforms and services call."""

import click

from pushlane_worker.cli.argument_types import utf8


@click.command("callback")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="The port.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that share it.")
@click.option("--try", "text", metavar="TEXT", type=utf8, help="Ask the callback running at this address about TEXT.")
def command(host: str, port: int, workers: int, text: str | None) -> None:
    """Answer moderation callbacks, and take decisions and messages over HTTP, until Ctrl-C.

    With --try, send one request about TEXT to a running callback, signed as the chat platform signs it, and print the
    answer. Like any other request it is judged, recorded and relayed.
    """
    if text is not None:
        from pushlane_worker.cli.trial import ask  # noqa: PLC0415 # neither needs the other's imports

        click.echo(ask(host, port, text))
        return
    from pushlane.callback.server import run  # noqa: PLC0415 # the same

    run(host, port, workers)
