"""The page's routes, and what they share in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import ImmutableMultiDict
from starlette.routing import Route

from pushlane.callback.page import cookies, csrf
from pushlane.callback.page.answers import Answers
from pushlane.callback.page.fleet import Fleet
from pushlane.callback.page.forms import fields, read_form
from pushlane.callback.page.framed import is_live
from pushlane.callback.page.login import Login, on_page
from pushlane.callback.page.refusals import ERRORS, refusal
from pushlane.callback.page.runs import Runs
from pushlane.callback.page.sessions import Sessions
from pushlane.callback.page.threads import Threads
from pushlane.callback.page.view import Asked, Redirect
from pushlane.callback.page.views import PLACES
from pushlane.operators.actions import Operator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.callback.page.view import Place
    from pushlane.callback.settings import CallbackSettings, DashboardSettings

    Endpoint = Callable[[Request], Awaitable[Response]]

STRANGER: Final = "somebody (page)"
"""Who sends a wrong password: the name is left out, because people type passwords there."""
_NO_FIELDS: Final = ImmutableMultiDict[str, str]()


class Site:
    """The page of one process."""

    def __init__(self, settings: CallbackSettings, dashboard: DashboardSettings) -> None:
        self._operator = Operator(settings.redis_url, by=STRANGER)
        self._proxies = settings.trusted_proxies
        self._answers = Answers()
        self._threads = Threads("page")
        self._fleet = Fleet()
        self._runs = Runs()
        self._sessions = Sessions(self._operator.redis, dashboard.read_password)
        self._login = Login(self._answers, self._operator, self._sessions, dashboard.read_password, self._proxies)

    def routes(self) -> list[Route]:
        """All of them."""
        login = self._login
        return [
            Route("/login", self._explaining(login.show)),
            Route("/login", self._explaining(login.log_in), methods=["POST"]),
            Route("/logout", self._explaining(login.log_out), methods=["POST"]),
            Route(self._answers.stylesheet, self._answers.style),
            *(Route(place.path, self._explaining(self._of(place)), methods=[place.method]) for place in PLACES),
        ]

    def close(self) -> None:
        """Ends its threads and its connections."""
        self._runs.close()
        self._threads.close()
        self._login.close()
        self._operator.redis.close()

    def _explaining(self, endpoint: Endpoint) -> Endpoint:
        async def respond(request: Request) -> Response:
            try:
                return await endpoint(request)
            except ERRORS as error:
                why = refusal(error, acts=request.method == "POST")
                return self._answers.refused(why.status, str(why), why.headers)

        return respond

    def _of(self, place: Place) -> Endpoint:
        async def respond(request: Request) -> Response:
            https = cookies.is_https(request, self._proxies)
            session_id = cookies.read(request, cookies.SESSION, https=https)
            if session_id is None and place.method == "GET":
                return self._answers.redirect("/login")
            form = await read_form(request) if place.method == "POST" else _NO_FIELDS
            return await self._threads.run(self._show, place, request, session_id, form)

        return respond

    def _show(
        self, place: Place, request: Request, session_id: str | None, form: ImmutableMultiDict[str, str]
    ) -> Response:
        """Blocks."""
        query = fields(request.url.query)
        if place.method == "POST":
            name: str | None = self._login.whose(request, session_id, form)
        else:
            name = self._sessions.find(session_id or "", by_person=not is_live(query))
        if session_id is None or name is None:
            return self._answers.redirect("/login")
        url = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        asked = Asked(url, request.path_params, query, form, name, self._fleet, self._runs)
        shown = place.show(self._operator.named(on_page(name)), asked)
        if isinstance(shown, Redirect):
            return self._answers.redirect(shown.to)
        values = {"csrf": csrf.token(session_id), "user": name, **shown.values}
        return self._answers.page(shown.template, values, shown.status, shown.headers)
