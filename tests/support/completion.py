"""What a shell offers when somebody presses TAB after some words."""

import os
import subprocess
import termios
from pathlib import Path

from support.processes import environment, installed
from support.waiting import wait_until

_ASK = """
eval "$(_PUSHLANE_COMPLETE=bash_source pushlane)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_pushlane_completion pushlane
printf '%s\\n' "${COMPREPLY[@]}"
"""
_PATH = f"{Path(installed('pushlane')).parent}:{os.environ['PATH']}"


def offered(*words: str, **settings: str) -> list[str]:
    """What bash offers for the last of these words; nothing else was printed."""
    asked = ["bash", "--norc", "-c", _ASK, "bash", "pushlane", *words]
    ended = subprocess.run(asked, env=environment(PATH=_PATH, **settings), capture_output=True, text=True, check=False)
    # A script has no line editor whose options a completion could set.
    told = [line for line in ended.stderr.splitlines() if "compopt: " not in line]
    assert not told, ended.stderr
    return ended.stdout.split()


def typed(keys: str, expected: str, folder: Path, **settings: str) -> None:
    """An interactive bash with the completion shows the text after these keys."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    env = environment(PATH=_PATH, PS1="$ ", TERM="dumb", **settings)
    words = ["bash", "--norc", "--noprofile", "-i"]
    with subprocess.Popen(
        words, env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as shell:
        os.close(theirs)
        os.set_blocking(ours, False)
        shown = ""

        def sees(text: str) -> bool:
            nonlocal shown
            try:
                shown += os.read(ours, 65536).decode()
            except BlockingIOError:
                return text in shown
            return text in shown

        try:
            os.write(ours, b'eval "$(_PUSHLANE_COMPLETE=bash_source pushlane)" && echo in-"place"\n')
            wait_until(lambda: sees("in-place"), "the completion to be in place")
            os.write(ours, keys.encode())
            wait_until(lambda: sees(expected), f"{expected!r} after {shown!r}")
        finally:
            shell.kill()
            os.close(ours)
