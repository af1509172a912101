"""timeout-active: a limit of a node over all its attempts, which is final (C-51)."""

import time

from flytekit import task, workflow


@task(retries=5, environment={"ALOFT_ACTIVE_TIMEOUT": "3s"})
def slow(n: int) -> int:
    time.sleep(60)
    return n


@workflow
def wf(n: int) -> int:
    return slow(n=n)
