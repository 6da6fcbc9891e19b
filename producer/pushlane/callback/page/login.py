"""``/login`` and ``/logout``: a name for the audit and one password make a session."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from pushlane.callback.http.connection_limit import network_of
from pushlane.callback.http.web import source_address
from pushlane.callback.page import cookies, csrf
from pushlane.callback.page.forms import read_form
from pushlane.callback.page.refusals import Refused
from pushlane.callback.page.threads import Threads
from pushlane.callback.page.tries import try_login
from pushlane.service.credentials import is_one_of
from pushlane.service.logs import logger
from pushlane.service.printable import escaped_but_emoji

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.datastructures import ImmutableMultiDict
    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.callback.page.answers import Answers
    from pushlane.callback.page.sessions import Sessions
    from pushlane.callback.settings import Network
    from pushlane.operators.actions import Operator

MAX_NAME_CHARS: Final = 64
WINDOW_S: Final = 600
AT_ONCE: Final = 2
"""Threads of its own, so that a flood of logins leaves those of the views alone."""


class Login:
    """The two routes."""

    def __init__(
        self,
        answers: Answers,
        operator: Operator,
        sessions: Sessions,
        read_password: Callable[[], str],
        proxies: Sequence[Network],
    ) -> None:
        self._answers = answers
        self._operator = operator
        self._wrong = WrongPasswords()
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
            raise Refused(403, "This form is too old, or from elsewhere. Load the login page again.")
        before = cookies.read(request, cookies.SESSION, https=https)
        address = network_of(source_address(request, self._proxies))
        return await self._threads.run(self._try, cookie, form, address, before, https=https)

    async def log_out(self, request: Request) -> Response:
        """Ends the session."""
        https = cookies.is_https(request, self._proxies)
        session_id = cookies.read(request, cookies.SESSION, https=https)
        form = await read_form(request)
        await self._threads.run(self._end, request, session_id, form)
        response = self._answers.redirect("/login")
        cookies.clear(response, cookies.SESSION, https=https)
        return response

    def whose(self, request: Request, session_id: str | None, form: ImmutableMultiDict[str, str]) -> str:
        """Who sends this form from a page of ours. Raises Refused unless somebody does who is logged in. Blocks."""
        if not csrf.is_ours(request):
            raise Refused(403, "This form was sent by another site. Nothing was done.")
        name = self._sessions.find(session_id) if session_id else None
        if session_id is None or name is None:
            raise Refused(403, "You are no longer logged in. Nothing was done.")
        if not csrf.fits(session_id, form.get(csrf.FIELD)):
            raise Refused(403, "This form is from another session. Nothing was done; load the page again.")
        return name

    def close(self) -> None:
        """Ends its threads."""
        self._threads.close()

    def _try(
        self, cookie: str, form: ImmutableMultiDict[str, str], address: str, before: str | None, *, https: bool
    ) -> Response:
        name = form.get("name", "").strip()
        if not 1 <= len(name) <= MAX_NAME_CHARS or escaped_but_emoji(name) != name:
            return self._form(cookie, f"The name must be 1 to {MAX_NAME_CHARS} visible characters.", status=422)
        if wait_ms := try_login(self._operator.redis, address):
            seconds = math.ceil(wait_ms / 1000)
            problem = f"Too many tries. Try again in {seconds} s."
            return self._form(cookie, problem, name=name, status=429, headers={"Retry-After": str(seconds)})
        if not is_one_of([self._read_password()], form.get("password", "")):
            if count := self._wrong.worth_noting():
                self._operator.audit.note("log in", "", address, f"wrong password number {count}")
            logger().warning("page.wrong_password", address=address)
            return self._form(cookie, "The password is wrong.", name=name, status=403)
        self._operator.named(on_page(name)).audit.note("log in", "", address, "logged in")
        if before is not None:
            self._sessions.close(before)
        response = self._answers.redirect("/")
        cookies.write(response, cookies.SESSION, self._sessions.open(name, address), https=https)
        return response

    def _end(self, request: Request, session_id: str | None, form: ImmutableMultiDict[str, str]) -> None:
        name = self.whose(request, session_id, form)
        self._operator.named(on_page(name)).audit.note("log out", "", "", "logged out")
        self._sessions.close(session_id or "")

    def _form(
        self,
        cookie: str,
        problem: str = "",
        *,
        name: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        values = {"csrf": csrf.token(cookie), "problem": problem, "name": name}
        return self._answers.page("login.html", values, status, headers)


class WrongPasswords:
    """Counts the wrong passwords of a process: few of them are worth an entry, or they would push out all others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = -math.inf
        self._count = 0

    def worth_noting(self) -> int:
        """Counts one more. Returns its number within ``WINDOW_S`` if that is 1, 10, 100 and so on, else 0."""
        if self._clock() - self._since > WINDOW_S:
            self._since, self._count = self._clock(), 0
        self._count += 1
        return self._count if str(self._count).strip("0") == "1" else 0


def on_page(name: str) -> str:
    """Somebody who has logged in, as the audit has it: a name that anybody may choose, so it says from where."""
    return f"{name} (page)"
