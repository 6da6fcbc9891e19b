"""``python -P -m pushlane_worker``: Celery's command line, without importing modules from the working directory.

Celery puts that directory first on the path while it imports an app, so anyone who can write there could replace our
modules. Modules that are already imported cannot be replaced.
"""

from celery.__main__ import main

import pushlane_worker.tasks  # noqa: F401 # everything that the app imports

if __name__ == "__main__":
    main()
