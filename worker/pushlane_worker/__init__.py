"""The Celery side of Pushlane: workers that batch queued messages into pushes.

``celery -A pushlane_worker worker`` finds the app in ``celery.py``. Reading order: ``dispatcher`` → ``drain`` →
``push`` → ``channels`` → ``retry``.
"""
