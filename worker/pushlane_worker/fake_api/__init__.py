"""The stand-in for the chat API that demo, tests, benchmarks and users' CI share.

It checks every rule of CINNOX's message-push, and of third-party messages at ``/third-party``, keeps what it accepted
in the order of arrival, and misbehaves on request.

::

    server    HTTP, and FakeApi: the stand-in inside this process
    process   run(): the stand-in as a program of its own
    client    FakeApiClient: steers and questions one that runs elsewhere
    backdoor  the endpoints under /_ that the client talks to
    chat      the way of a push: rules, rate, faults, record
    rules     what the API refuses, one class a face of it
    rate      the sliding window
    faults    which injected fault strikes which push
    record    what arrived, and what was wrong with it
    control   the document that sets all of it; reports: the documents that tell what happened
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
