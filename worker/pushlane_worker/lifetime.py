"""Child processes that end when their parent does, however it ends."""

import os
import sys
from collections.abc import Sequence

# Runs in the child in place of a preexec_fn, which may deadlock in a process with threads. The setting survives the
# exec. The parent may have died before it was made, hence the look at its pid after it. 1 is PR_SET_PDEATHSIG.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(1, 9) or os.getppid() != int(sys.argv[1]):
    sys.exit("could not be tied to its parent process")
os.execv(sys.argv[2], sys.argv[2:])
"""


def tied_to_parent(words: Sequence[str]) -> list[str]:
    """The command line that runs ``words``, a program's path and its arguments, as long as this process lives.

    On Linux the kernel kills it with SIGKILL when the *thread* that starts it ends, so start it from the main thread.
    Elsewhere the words come back as they are, and only an orderly end of this process can end it.
    """
    if sys.platform != "linux":
        return list(words)
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *words]
