"""A message object on the command line."""

from typing import Any

import click

from pushlane.errors import InvalidMessage
from pushlane.message_json import load


class _JsonObject(click.ParamType[dict[str, Any]]):
    """An object for ``ThirdPartyMessage``."""

    name = "object"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object. Its content is checked when the message is created; errors here never quote it."""
        try:
            made = load(str(value).encode(errors="surrogateescape"), "object")
        except InvalidMessage as error:
            self.fail(str(error), param, ctx)
        if not isinstance(made, dict):
            self.fail('must be a JSON object, such as {"type": 1, "text": "hello"}', param, ctx)
        return made


JSON_OBJECT = _JsonObject()
