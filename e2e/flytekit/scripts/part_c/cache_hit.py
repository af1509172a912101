"""cache-hit: equal inputs are computed once, and the copy names its source (C-90, C-92, C-94)."""

from flytekit import task, workflow


@task(cache=True, cache_version="1")
def expensive(n: int, marks: str) -> int:
    with open(marks, "a") as f:
        f.write("x")
    return n + 1


@workflow
def wf(n: int, marks: str) -> int:
    return expensive(n=n, marks=marks)
