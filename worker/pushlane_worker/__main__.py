"""``python -P -m pushlane_worker``: Celery's command line, which runs no module of the working directory.

Celery puts that directory first while it imports an app, so whoever can write there could replace any module of ours.
What is imported by then cannot be replaced.
"""

from celery.__main__ import main

import pushlane_worker.tasks  # noqa: F401 # all that the app imports

if __name__ == "__main__":
    main()
