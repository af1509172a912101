"""cache-serialize: runs at once of equal inputs compute them once; the others wait (C-95, C-98)."""

import time

from flytekit import task, workflow


@task(cache=True, cache_version="1", cache_serialize=True)
def expensive(n: int, marks: str) -> int:
    with open(marks, "a") as f:
        f.write("x")
    time.sleep(3)
    return n + 1


@workflow
def wf(n: int, marks: str) -> int:
    return expensive(n=n, marks=marks)
