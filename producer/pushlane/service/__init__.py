"""What the worker and the callback share; their extras install what it imports.

::

    configuration        settings from the environment and ``pushlane.toml``
    credentials          tokens and keys from settings and files
    redis_requirements   what a Redis server must be, and a watch on it
    logs                 the structured log
    log_writer           writes its lines without ever blocking
    span_export          whether this process exports its OpenTelemetry spans
    span_pipeline        how it does
    printable            text from outside as one line of a log or a terminal
    json_fields          our objects as JSON fields
    effects              what moderation's decisions do in a channel: relays, and decisions on holds
    retry_effects        effects that have to wait, and retrying them
"""
