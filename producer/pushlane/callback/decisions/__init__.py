"""Decisions: recorded in Redis, or on disk while Redis is away; then their effects.

::

    decision      one decision as it is stored
    recorder      records decisions, many per call
    feed          records and applies decisions in order, on disk if it must
    spool         the decisions on disk
    spool_files   its files: locks, frames and checksums
"""
