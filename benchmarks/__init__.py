"""Pushlane beside what a user would pick instead: ``make bench``. docs/performance.md has the figures.

Main parts, in the order in which a run uses them:

- ``__main__.py``: the command line;
- ``bench.py``: what the cases share: the chat API, the size of a run, the notes for the plots;
- ``chat_api.py``: a chat API that costs as little as possible, in a process of its own;
- ``sides.py``: what is measured: Pushlane, a peer, the bare loop; ``peer_environments.py`` installs the peers;
- ``drain.py``: one run: a backlog, and how fast it reaches the chat API;
- ``cases/``: one module per line of the table; ``peers/``: the programs of the peers, which run in environments of
  their own;
- ``table.py``: medians, ratios and the printed table; ``plots.py`` draws.

``callback.py`` and ``load.py`` measure the callback and are run by themselves.
"""
