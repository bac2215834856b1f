"""Do something inside namespaces and bring back what came of it.

The calling process must stay where it is: a user namespace can't be left again, and a program that
uses linkspan as a library may have threads. So a forked process goes in, and its result, or the
error it ended with, comes back over a pipe.
"""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Sequence
from typing import TypeVar

from linkspan.errors import Bug, LinkspanError, Refusal
from linkspan.sandbox.namespaces import fork_inside

Result = TypeVar("Result")


def run_inside(descriptors: Sequence[int], work: Callable[[], Result]) -> Result:
    """Run `work` in a process inside the namespaces and return what it returned.

    Raises what `work` raised, if it is an error of ours; OSError becomes Refusal.
    """
    read, write = os.pipe()

    def report() -> int:
        os.close(read)
        gc.freeze()  # what was there before need not be looked through again and again
        with open(write, "wb") as pipe:
            pickle.dump(_outcome(work), pipe)
        return 0

    process = fork_inside(descriptors, report)
    os.close(write)
    with open(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(process, 0)
    if not data:
        raise Refusal("the process that went into the lab's namespaces ended without an answer")
    result, error = pickle.loads(data)
    if error is not None:
        raise error
    outcome: Result = result
    return outcome


def _outcome(work: Callable[[], Result]) -> tuple[Result | None, LinkspanError | None]:
    try:
        return work(), None
    except LinkspanError as error:
        return None, error
    except OSError as error:
        return None, Refusal(f"the kernel refuses: {error}")
    except Exception as error:
        return None, Bug(f"{type(error).__name__}: {error}")
