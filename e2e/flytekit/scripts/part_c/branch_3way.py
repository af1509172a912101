"""branch-3way: the first case that holds runs, the others are skipped (C-120)."""

from flytekit import conditional, task, workflow


@task
def double(n: int) -> int:
    return n * 2


@task
def square(n: int) -> int:
    return n * n


@task
def negate(n: int) -> int:
    return -n


@workflow
def wf(n: int) -> int:
    return (
        conditional("size")
        .if_(n < 10)
        .then(double(n=n))
        .elif_((n >= 10) & (n < 100))
        .then(square(n=n))
        .else_()
        .then(negate(n=n))
    )
