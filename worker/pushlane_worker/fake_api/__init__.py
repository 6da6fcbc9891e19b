"""The fake chat API, shared by the demo, tests, benchmarks and users' CI.

It checks every rule of CINNOX's message-push and, at ``/third-party``, of third-party messages. It keeps what it
accepted in order of arrival, and misbehaves on request.

::

    server    HTTP, and FakeApi: the fake API inside this process
    process   run(): the fake API as its own program
    client    FakeApiClient: controls and queries a fake API that runs elsewhere
    backdoor  the endpoints under /_ that the client calls
    chat      handles a push: rules, rate, faults, record
    rules     what the API refuses: one class per endpoint
    rate      the sliding window
    faults    which injected fault hits which push
    record    what arrived, and what was wrong with it
    control   the document that sets all this; reports: the documents that report what happened
"""

from pushlane_worker.fake_api.client import FakeApiClient
from pushlane_worker.fake_api.control import Control, Cut, Fail, Garbage, Stall
from pushlane_worker.fake_api.process import run
from pushlane_worker.fake_api.reports import InjectedFault, OrderBreak, PushEntry, RoomEntry, Summary
from pushlane_worker.fake_api.server import FakeApi

__all__ = [
    "Control",
    "Cut",
    "Fail",
    "FakeApi",
    "FakeApiClient",
    "Garbage",
    "InjectedFault",
    "OrderBreak",
    "PushEntry",
    "RoomEntry",
    "Stall",
    "Summary",
    "run",
]
