"""A process that produces: two flows over one ``Producer`` in two threads, or one ``AsyncProducer`` in two tasks."""

import asyncio
import json
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.storm.caller import Caller
from chaos.storm.flow import Flow
from chaos.storm.lines import Lines

from pushlane import AsyncProducer, Producer

FLOWS = 2


def _flow(config: dict[str, Any], number: int, call: Callable[..., Any]) -> Flow:
    name = f"{config['name']}{'ab'[number]}"
    lines = Lines(Path(config["folder"]) / f"flow-{name}.jsonl")
    chance = random.Random(f"{config['seed']} {name}")  # noqa: S311 - repeatable on purpose
    return Flow(Caller(name, call, lines, chance), chance)


def _sync(config: dict[str, Any]) -> None:
    with Producer(config["redis_url"]) as producer:

        async def call(method: str, *arguments: object, **options: object) -> object:
            return getattr(producer, method)(*arguments, **options)

        def run(number: int) -> None:
            asyncio.run(_flow(config, number, call).run(config["seconds"], config["per_second"] / FLOWS))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(FLOWS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


async def _async(config: dict[str, Any]) -> None:
    async with AsyncProducer(config["redis_url"]) as producer, asyncio.TaskGroup() as group:

        async def call(method: str, *arguments: object, **options: object) -> object:
            return await getattr(producer, method)(*arguments, **options)

        for number in range(FLOWS):
            flow = _flow(config, number, call)
            group.create_task(flow.run(config["seconds"], config["per_second"] / FLOWS))


def main(config: dict[str, Any]) -> None:
    """Produces until the time is over and every call that must be answered is."""
    if config["style"] == "sync":
        _sync(config)
    else:
        asyncio.run(_async(config))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
