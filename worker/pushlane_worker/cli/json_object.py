"""A message object on the command line."""

import json
from typing import Any

import click


class _JsonObject(click.ParamType[dict[str, Any]]):
    """What ``ThirdPartyMessage`` takes."""

    name = "object"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object. What it may hold is checked when the message is made; here it is never quoted."""
        try:
            made = json.loads(str(value))
        except json.JSONDecodeError as error:
            self.fail(f"is not JSON: {error.msg} at character {error.pos + 1}", param, ctx)
        except (ValueError, RecursionError):
            self.fail("is not JSON that can be read: a number is too long, or it is nested too deep", param, ctx)
        if not isinstance(made, dict):
            self.fail('must be a JSON object, such as {"type": 1, "text": "hello"}', param, ctx)
        return made


JSON_OBJECT = _JsonObject()
