"""What a form or a query may contain: few fields, in strict UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict

from pushlane.callback.http.web import read_body

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BYTES: Final = 16 * 1024
"""Of a form: 300 message ids, or a text for a held message."""
MAX_FIELDS: Final = 500
FORM: Final = "application/x-www-form-urlencoded"
_NOT_UTF8: Final = "is not in UTF-8"


class BadForm(Exception):
    """It cannot be read; the message continues a sentence that begins with "the form"."""


async def read_form(request: Request) -> ImmutableMultiDict[str, str]:
    """The fields of a request's body.

    Raises:
        BadForm: It is no form, or not in UTF-8, or has too many fields.
        BodyRefused: It is too large, too slow or compressed.
        starlette.requests.ClientDisconnect: The browser is gone.
    """
    values = request.headers.getlist("content-type")
    if len(values) != 1 or values[0].partition(";")[0].strip().lower() != FORM:
        raise BadForm(f"is not {FORM}")
    try:
        return fields((await read_body(request, MAX_BYTES)).decode())
    except UnicodeDecodeError:
        raise BadForm(_NOT_UTF8) from None


def fields(encoded: str) -> ImmutableMultiDict[str, str]:
    """The fields of an encoded form or query. Raises BadForm."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise BadForm(_NOT_UTF8) from None
    except ValueError:
        raise BadForm(f"has more than {MAX_FIELDS} fields") from None
    return ImmutableMultiDict(pairs)
