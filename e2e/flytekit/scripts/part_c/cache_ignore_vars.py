"""cache-ignore-vars: an input that is no part of the key (C-90)."""

from flytekit import task, workflow


@task(cache=True, cache_version="1", cache_ignore_input_vars=("verbosity",))
def expensive(n: int, verbosity: int, marks: str) -> int:
    with open(marks, "a") as f:
        f.write("x")
    return n + 1


@workflow
def wf(n: int, verbosity: int, marks: str) -> int:
    return expensive(n=n, verbosity=verbosity, marks=marks)
