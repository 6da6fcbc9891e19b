"""``/login`` and ``/logout``: a name for the audit and one password make a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushlane.callback.credentials import is_one_of
from pushlane.callback.page import cookies, csrf
from pushlane.callback.page.forms import read_form
from pushlane.callback.page.refusals import Refused
from pushlane.callback.page.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.datastructures import ImmutableMultiDict
    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.callback.page.answers import Answers
    from pushlane.callback.page.sessions import Sessions
    from pushlane.callback.settings import Network

MAX_NAME_CHARS: Final = 64
AT_ONCE: Final = 2
"""Threads of its own, so that a flood of logins leaves those of the views alone."""


class Login:
    """The two routes."""

    def __init__(
        self, answers: Answers, sessions: Sessions, read_password: Callable[[], str], proxies: Sequence[Network]
    ) -> None:
        self._answers = answers
        self._sessions = sessions
        self._read_password = read_password
        self._proxies = proxies
        self._threads = Threads("page-login", AT_ONCE)

    async def show(self, request: Request) -> Response:
        """The form. Its cookie makes sure that whoever sends it has loaded it (login CSRF)."""
        https = cookies.is_https(request, self._proxies)
        cookie = cookies.read(request, cookies.LOGIN, https=https) or cookies.new_id()
        response = self._form(cookie)
        cookies.write(response, cookies.LOGIN, cookie, https=https)
        return response

    async def log_in(self, request: Request) -> Response:
        """Makes a session, and ends the one that this browser had."""
        https = cookies.is_https(request, self._proxies)
        cookie = cookies.read(request, cookies.LOGIN, https=https)
        form = await read_form(request)
        if cookie is None or not csrf.is_ours(request) or not csrf.fits(cookie, form.get(csrf.FIELD)):
            raise Refused(403, "This form is too old, or comes from elsewhere. Load the login page again.")
        before = cookies.read(request, cookies.SESSION, https=https)
        return await self._threads.run(self._try, cookie, form, before, https=https)

    async def log_out(self, request: Request) -> Response:
        """Ends the session."""
        https = cookies.is_https(request, self._proxies)
        session_id = cookies.read(request, cookies.SESSION, https=https)
        form = await read_form(request)
        name = await self._threads.run(self.whose, request, session_id, form)
        await self._threads.run(self._end, name, session_id or "")
        response = self._answers.redirect("/login")
        cookies.clear(response, cookies.SESSION, https=https)
        return response

    def whose(self, request: Request, session_id: str | None, form: ImmutableMultiDict[str, str]) -> str:
        """Who sends this form from a page of ours. Raises Refused unless somebody does who is logged in. Blocks."""
        if not csrf.is_ours(request):
            raise Refused(403, "This form was sent by another site. Nothing was done.")
        name = self._sessions.find(session_id) if session_id else None
        if session_id is None or name is None:
            raise Refused(403, "You are not logged in any more. Nothing was done.")
        if not csrf.fits(session_id, form.get(csrf.FIELD)):
            raise Refused(403, "This form is not of your session. Nothing was done; load the page again.")
        return name

    def close(self) -> None:
        """Ends its threads."""
        self._threads.close()

    def _try(self, cookie: str, form: ImmutableMultiDict[str, str], before: str | None, *, https: bool) -> Response:
        name = form.get("name", "").strip()
        if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
            return self._form(cookie, f"The name must be 1 to {MAX_NAME_CHARS} printable characters.", status=422)
        if not is_one_of([self._read_password()], form.get("password", "")):
            return self._form(cookie, "The password is wrong.", name=name, status=403)
        if before is not None:
            self._sessions.close(before)
        response = self._answers.redirect("/")
        cookies.write(response, cookies.SESSION, self._sessions.open(name), https=https)
        return response

    def _end(self, _name: str, session_id: str) -> None:
        self._sessions.close(session_id)

    def _form(self, cookie: str, problem: str = "", *, name: str = "", status: int = 200) -> Response:
        values = {"csrf": csrf.token(cookie), "problem": problem, "name": name}
        return self._answers.page("login.html", values, status)
