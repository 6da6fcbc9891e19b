"""HTTP: the server's limits, what all routes share, and the routes of ``/v1`` and of health.

::

    connection         uvicorn's protocol with limits on heads, requests and time
    connection_limit   how many connections there are, and which one is closed for another
    access_log         one log line per request
    request_spans      one OpenTelemetry span per request
    library_log        the log lines of uvicorn and asyncio, in our format
    web                bodies, answers, API keys, and the caller's address
    problems           errors as problem documents (RFC 9457)
    messages           ``/v1/channels/{channel}/messages``
    holds              ``/v1/channels/{channel}/decisions/{key}``
    readiness          ``/readyz``
    metrics            ``/metrics``
"""
