"""Pages as responses: the templates, the stylesheet, and the headers of every page."""

from __future__ import annotations

import hashlib
import types
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import jinja2
from starlette.responses import Response

from pushlane.callback.page.formats import FILTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

PACKAGE: Final = "pushlane.callback.page"
HEADERS: Final = types.MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none';"
            " base-uri 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # With no-referrer, the browser would send "Origin: null" with our own forms.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
A_YEAR_S: Final = 365 * 24 * 3600


class Answers:
    """The templates and the stylesheet of one process."""

    def __init__(self) -> None:
        style = (files(PACKAGE) / "static" / "page.css").read_bytes()
        self.stylesheet = f"/static/page-{hashlib.sha256(style).hexdigest()[:16]}.css"
        self._style = style
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader(PACKAGE),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update(FILTERS)
        self._templates.globals["stylesheet"] = self.stylesheet
        for name in self._templates.list_templates():  # compiled now: it takes 10 ms each
            self._templates.get_template(name)

    def page(
        self, template: str, values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """A page; ``csrf`` and ``user`` are empty unless they are among the values."""
        text = self._templates.get_template(template).render({"csrf": "", "user": "", **values})
        return Response(text, status, {**HEADERS, **(headers or {})}, "text/html")

    def refused(self, status: int, problem: str, headers: Mapping[str, str]) -> Response:
        """A page that says why nothing was shown or done."""
        return self.page("refused.html", {"heading": HTTPStatus(status).phrase, "problem": problem}, status, headers)

    def redirect(self, to: str) -> Response:
        """Sends the browser to this address of ours, by GET."""
        return Response(status_code=303, headers={**HEADERS, "Location": to})

    async def style(self, _request: Request) -> Response:
        """The stylesheet: its name changes with its content, so browsers keep it."""
        headers = {"Cache-Control": f"public, max-age={A_YEAR_S}, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(self._style, headers=headers, media_type="text/css")
