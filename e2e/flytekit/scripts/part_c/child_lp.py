"""child-lp: a launch plan inside a workflow is an execution of its own (C-13)."""

from flytekit import LaunchPlan, task, workflow


@task
def half(n: int) -> int:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n // 2


@task
def double(n: int) -> int:
    return n * 2


@workflow
def halving(n: int) -> int:
    return half(n=n)


plan = LaunchPlan.get_or_create(halving, name="part_c.child_lp.plan")


@workflow
def wf(n: int) -> int:
    return double(n=plan(n=n))
