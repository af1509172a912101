"""dynamic-recursive: a graph made at run time that makes another one (C-151)."""

from flytekit import dynamic, task, workflow


@task
def add(a: int, b: int) -> int:
    return a + b


@dynamic
def add_up(n: int) -> int:
    """n + (n - 1) + … + 0, a level of nesting for each."""
    return add(a=0, b=0) if n == 0 else add(a=n, b=add_up(n=n - 1))


@workflow
def wf(n: int) -> int:
    return add_up(n=n)
