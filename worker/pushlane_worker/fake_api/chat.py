"""Handles a push in the fake API: rules, rate limit, injected faults, record."""

import asyncio
import math
import time
from collections.abc import Mapping
from http import HTTPStatus

from pushlane_worker.fake_api.control import Control, Cut, Fail, Garbage, Stall
from pushlane_worker.fake_api.faults import Faults, Strike
from pushlane_worker.fake_api.rate import RateWindow
from pushlane_worker.fake_api.record import Record
from pushlane_worker.fake_api.rules import (
    NO_ANSWER,
    TOO_MANY_REQUESTS,
    WRONG_PARAMETER,
    Call,
    MessagePushRules,
    ReceivedPush,
    Reply,
    Rules,
    ThirdPartyRules,
    refusal,
)

_GARBAGE: Mapping[str, Reply] = {
    "text": Reply(HTTPStatus.OK, b"OK", {"Content-Type": "text/plain"}),
    "empty": Reply(HTTPStatus.OK, b"", {"Content-Type": "application/json"}),
    "html": Reply(HTTPStatus.OK, b"<html><body>It works!</body></html>", {"Content-Type": "text/html"}),
}


class FakeChat:
    """The API without HTTP: calls in, replies out."""

    def __init__(self, control: Control) -> None:
        self._initial = control
        self.reset()

    @property
    def control(self) -> Control:
        """The current behaviour, with what is left of the limited faults."""
        return self._faults.control

    def change(self, /, **changes: object) -> Control:
        """Change these fields of the control document and keep the others.

        Raises:
            pydantic.ValidationError: A field is unknown or has a wrong value; nothing was changed.
        """
        control = Control.model_validate({**dict(self.control), **changes})
        self._faults.change(control, reseed="seed" in changes)
        self._endpoints = _endpoints(control)
        if "rate_limit" in changes:
            self._window = _window(control)
        return control

    def reset(self) -> None:
        """Forget everything and return to the initial behaviour. Pushes in flight are lost with the old record."""
        self.record = Record()
        self._faults = Faults(self._initial)
        self._endpoints = _endpoints(self._initial)
        self._window = _window(self._initial)

    async def answer(self, call: Call) -> Reply:
        """Handle a call; the reply is ``NO_ANSWER`` if the connection must be cut."""
        record = self.record
        rules = next(rules for rules in self._endpoints if rules.owns(call.path))
        unfit = rules.refuse(call)
        content = unfit or rules.read(call.body)
        ticket = record.arrive(call.at_s, content if isinstance(content, ReceivedPush) else None)
        reply = NO_ANSWER
        try:
            turned_away = self._turn_away(call, unfit, record)
            if turned_away is not None:
                reply = turned_away
            elif isinstance(content, Reply):
                reply = content
            else:
                reply = await self._take(content, rules, record)
            if self.control.latency_s:
                await asyncio.sleep(self.control.latency_s)
        finally:
            record.depart(ticket, time.monotonic(), reply.status)
        return reply

    def _turn_away(self, call: Call, unfit: Reply | None, record: Record) -> Reply | None:
        """Answer without reading the body: down, invalid, throttled or over the rate limit."""
        control = self.control
        if control.down is not None:
            record.inject("down")
            return NO_ANSWER if control.down == "refuse" else refusal(control.down, control.down, "down (injected)")
        if unfit is not None:
            return unfit
        if control.throttle is not None:
            record.inject("throttle")
            return _too_many_requests(control.throttle)
        wait_s = 0.0 if self._window is None else self._window.wait_s(call.at_s)
        if wait_s:
            return _too_many_requests(str(math.ceil(wait_s)) if control.retry_after else "")
        return None

    async def _take(self, push: ReceivedPush, rules: Rules, record: Record) -> Reply:
        """Accept a valid push, unless a fault hits it."""
        poison = self.control.reject_text
        if poison is not None and any(poison in text for text in push.texts):
            record.strike("reject_text", push.room, push.texts, accepted=False)
            return refusal(HTTPStatus.BAD_REQUEST, WRONG_PARAMETER, "invalid message")
        fault = self._faults.strike(push.room)
        if fault is None:
            self._accept(push, record)
            return rules.accepted
        record.strike(fault.name, push.room, push.texts, accepted=fault.accept)
        if fault.accept:
            self._accept(push, record)
        return await self._misbehave(fault, push, rules, record)

    async def _misbehave(self, fault: Strike, push: ReceivedPush, rules: Rules, record: Record) -> Reply:
        match fault:
            case Stall():
                await asyncio.sleep(fault.seconds)
                if not fault.accept:
                    self._accept(push, record)
                return rules.accepted
            case Cut():
                return NO_ANSWER
            case Garbage():
                return _GARBAGE[fault.body]
            case Fail():
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                return refusal(fault.status, fault.code or fault.status, "failed (injected)", headers)

    def _accept(self, push: ReceivedPush, record: Record) -> None:
        record.accept(push, self._faults.rearrange(push, record), time.monotonic())


def _too_many_requests(retry_after: str) -> Reply:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return refusal(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY_REQUESTS, "Too many requests", headers)


def _endpoints(control: Control) -> tuple[Rules, ...]:
    return (MessagePushRules(control.app_id, control.token), ThirdPartyRules(control.token), Rules())


def _window(control: Control) -> RateWindow | None:
    return None if control.rate_limit is None else RateWindow(control.rate_limit)
