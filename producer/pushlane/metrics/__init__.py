"""What ``/metrics`` tells Prometheus: all channels as Redis has them, and what one process knows itself.

The worker and the callback serve the same text, whichever process is asked.

::

    scrape       answers scrapes from what was read a moment ago
    reading      reads all channels
    families     the metrics: their names, and where their values come from
    exposition   Prometheus' text format
"""
