"""signal: a typed value from outside (C-131)."""

from datetime import timedelta

from flytekit import task, wait_for_input, workflow


@task
def scale(n: int, factor: int) -> int:
    return n * factor


@workflow
def wf(n: int) -> int:
    return scale(n=n, factor=wait_for_input("factor", timeout=timedelta(hours=1), expected_type=int))
