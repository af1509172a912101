"""fail-after-complete: what does not depend on a failed node goes on, or is aborted (C-60, C-61, C-64)."""

import time

from flytekit import task, workflow
from flytekit.core.workflow import WorkflowFailurePolicy


@task
def boom(n: int) -> int:
    if n > 0:
        raise ValueError(f"boom {n}")
    return n


@task
def slow(n: int, seconds: int) -> int:
    time.sleep(seconds)
    return n


@task
def after(n: int) -> int:
    return n


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def wf(n: int) -> int:
    first = boom(n=1)
    goes_on = after(n=slow(n=n, seconds=3))
    boom(n=2)
    after(n=first)
    return goes_on


@workflow
def at_once(n: int) -> int:
    boom(n=1)
    return slow(n=n, seconds=60)
