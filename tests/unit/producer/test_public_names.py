"""What a service may import."""

import inspect
from importlib.metadata import version

import pushlane


def test_the_public_names_are_these_and_sorted() -> None:
    """A name that appears or disappears is a decision: this list changes with it."""
    assert pushlane.__all__ == [
        "AsyncProducer",
        "Hold",
        "IdempotencyConflict",
        "InvalidMessage",
        "MessageStatus",
        "NewerChannel",
        "Producer",
        "PushRecord",
        "PushlaneError",
        "QueueFull",
        "QueueUnavailable",
        "Receipt",
        "RoomMessage",
        "ThirdPartyMessage",
        "UnknownChannel",
    ]
    assert pushlane.__all__ == sorted(pushlane.__all__)


def test_every_public_name_is_there_and_explains_itself() -> None:
    """No name of the list is missing, and each has a docstring of its own."""
    for name in pushlane.__all__:
        assert vars(vars(pushlane)[name])["__doc__"], name


def test_both_producers_have_the_same_methods() -> None:
    """A service that moves to asyncio adds ``await`` and changes nothing else."""

    def methods(kind: type) -> dict[str, object]:
        found = {name: inspect.signature(method) for name, method in vars(kind).items() if inspect.isfunction(method)}
        return {name.removeprefix("a"): how for name, how in found.items() if not name.startswith("_")}

    assert methods(pushlane.Producer) == methods(pushlane.AsyncProducer)


def test_the_version_is_that_of_the_package() -> None:
    """Said once, where the build takes it from."""
    assert pushlane.__version__ == version("pushlane")


def test_every_public_error_is_a_pushlane_error() -> None:
    """One ``except PushlaneError`` catches whatever the library raises."""
    public = [vars(pushlane)[name] for name in pushlane.__all__]
    for error in public:
        if issubclass(error, Exception):
            assert issubclass(error, pushlane.PushlaneError)
