"""What a process needs for one channel: its kind, its retry policy and its token."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from pushlane.errors import SettingsError
from pushlane_worker.channel_settings import ChannelSettings, RateLimit
from pushlane_worker.channels import KINDS, ChannelKind
from pushlane_worker.queue.retry import RetryPolicy
from pushlane_worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel in this process."""

    name: str
    kind: ChannelKind
    policy: RetryPolicy
    renewed: Callable[[], bool]
    """Whether the token has changed since the last call."""


class _Token:
    """A channel's current token. A file is read again when it has changed, so that every process sees a new token."""

    def __init__(self, channel: ChannelSettings) -> None:
        self._channel = channel
        self._seen = self._look()
        self._value = channel.read_token()

    def __call__(self) -> str:
        if (seen := self._look()) != self._seen:
            with contextlib.suppress(SettingsError):  # the file is just being replaced: the next push reads it again
                self._value, self._seen = self._channel.read_token(), seen
        return self._value

    def renewed(self) -> bool:
        """Reads the file if it has changed since the last read, and returns whether it has."""
        before = self._seen
        self()
        return self._seen != before

    def _look(self) -> tuple[int, int, int] | None:
        if self._channel.token_file is None:
            return None
        try:
            status = self._channel.token_file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size


def make_channel(name: str, channel: ChannelSettings, push_deadline_s: float) -> Channel:
    """Builds a channel. Raises SettingsError when its token cannot be read."""
    token = _Token(channel)
    policy = RetryPolicy(
        max_attempts=channel.max_attempts,
        max_age_s=channel.max_age_s,
        backoff_base_s=channel.backoff_base_s,
        backoff_cap_s=channel.backoff_cap_s,
        retry_after_cap_s=channel.retry_after_cap_s,
        on_unknown=channel.on_unknown,
        push_deadline_s=push_deadline_s,
    )
    return Channel(name, KINDS[channel.kind](channel, token), policy, token.renewed)


def channel_record(settings: Settings, name: str) -> dict[str, str | int]:
    """What producers and scripts need to know about a channel, without secrets. ``lua/lib_channel.lua`` reads it."""
    channel = settings.channels[name]
    kind, rate = KINDS[channel.kind], channel.rate_limit or RateLimit(0, 1)
    return {
        "kind": channel.kind,
        "queue": channel.queue,
        "batch_limit": kind.batch_limit,
        "max_text": kind.max_text or 0,
        "text_unit": channel.text_unit,
        "max_message_bytes": channel.max_message_bytes,
        "rate_limit": rate.pushes,
        "rate_window_ms": rate.window_s * 1000,
        "max_queued": channel.max_queued,
        "breaker_after": channel.breaker_after,
        "breaker_cap_ms": round(channel.breaker_cap_s * 1000),
        "retry_after_cap_ms": round(channel.retry_after_cap_s * 1000),
        "backoff_cap_ms": round(channel.backoff_cap_s * 1000),
        "retention_ms": round(settings.retention_s * 1000),
        "lease_rest_ms": round((settings.lease_s - settings.push_deadline_s) * 1000),
        "idempotency_ms": round(settings.idempotency_window_s * 1000),
    }


def channel_records(settings: Settings) -> dict[str, dict[str, str | int]]:
    """The records of all channels in the settings."""
    return {name: channel_record(settings, name) for name in settings.channels}
