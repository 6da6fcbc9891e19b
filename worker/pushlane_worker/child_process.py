"""Child processes that end when their parent does, however it ends."""

import os
import sys
from collections.abc import Sequence

# Runs in the child instead of a preexec_fn, which may deadlock in a process with threads. The setting survives the
# exec. The parent may have died before it was set, hence the check of its pid afterwards. 1 is PR_SET_PDEATHSIG.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(1, 9) or os.getppid() != int(sys.argv[1]):
    sys.exit("could not be tied to its parent process")
os.execv(sys.argv[2], sys.argv[2:])
"""


def tied_to_parent(words: Sequence[str]) -> list[str]:
    """A command line that runs ``words`` (a program's path and its arguments) no longer than this process lives.

    On Linux the kernel kills the child with SIGKILL when the *thread* that started it ends, so start it from the main
    thread. Elsewhere ``words`` are returned unchanged, and only an orderly exit of this process can stop the child.
    """
    if sys.platform != "linux":
        return list(words)
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *words]
