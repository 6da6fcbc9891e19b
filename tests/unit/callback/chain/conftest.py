"""A chain's end, and what hanging policies wait for."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.policies import Run, no_question_left
from support.waiting import wait_until_async


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Makes chains; at the end none has left a task behind."""
    run = Run()
    yield run
    for chain in run.chains:
        chain.close()
    await wait_until_async(no_question_left, "the chain's tasks to end")


@pytest.fixture
def gate() -> asyncio.Event:
    """What those wait for that hang."""
    return asyncio.Event()
