"""sleep: a pause between two tasks (C-132)."""

from datetime import timedelta

from flytekit import sleep, task, workflow


@task
def double(n: int) -> int:
    return n * 2


@workflow
def wf(n: int) -> int:
    nap = sleep(timedelta(seconds=2))
    result = double(n=n)
    nap >> result
    return result
