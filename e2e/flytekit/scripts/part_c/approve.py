"""approve: a person lets a value pass, or refuses it (C-130)."""

from datetime import timedelta

from flytekit import approve, task, workflow


@task
def double(n: int) -> int:
    return n * 2


@workflow
def wf(n: int) -> int:
    return double(n=approve(double(n=n), "let-it-pass", timeout=timedelta(hours=1)))
