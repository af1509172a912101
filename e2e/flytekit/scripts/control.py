"""Control flow: branches, maps, dynamics, gates, child launch plans, retries, failures, caching."""

import os
import typing
from datetime import timedelta
from functools import partial

from flytekit import (
    LaunchPlan, approve, conditional, current_context, dynamic, map_task, reference_task, sleep, task, wait_for_input,
    workflow,
)
from flytekit.core.workflow import WorkflowFailurePolicy
from flytekit.exceptions.user import FlyteRecoverableException


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
def three_way(n: int) -> int:
    return (
        conditional("size")
        .if_(n < 10)
        .then(double(n=n))
        .elif_((n >= 10) & (n < 100))
        .then(square(n=n))
        .else_()
        .then(negate(n=n))
    )


@workflow
def refuses(n: int) -> int:
    return conditional("size").if_(n < 10).then(double(n=n)).else_().fail("n must be below ten")


@task
def scale(n: int, factor: int) -> int:
    return n * factor


@task
def total(values: typing.List[int]) -> int:
    return sum(values)


@workflow
def mapped(values: typing.List[int], factor: int = 3) -> int:
    scaled = map_task(partial(scale, factor=factor), concurrency=2)(n=values)
    return total(values=scaled)


@task
def even_only(n: int) -> typing.Optional[int]:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n


@task
def count_some(values: typing.List[typing.Optional[int]]) -> int:
    return sum(1 for v in values if v is not None)


@workflow
def mapped_half(values: typing.List[int]) -> int:
    """C-141: half of the items may fail; theirs are None."""
    return count_some(values=map_task(even_only, min_success_ratio=0.5)(n=values))


@dynamic
def fibonacci_sum(n: int) -> int:
    values = [double(n=i) for i in range(n)]
    return total(values=values)


@dynamic
def countdown(n: int) -> int:
    """A dynamic that makes a dynamic."""
    if n == 0:
        return double(n=21)
    return countdown(n=n - 1)


@workflow
def dynamics(n: int) -> typing.Tuple[int, int]:
    return fibonacci_sum(n=n), countdown(n=2)


@workflow
def gates(n: int) -> int:
    doubled = double(n=n)
    approved = approve(doubled, "approve-it", timeout=timedelta(hours=1))
    extra = wait_for_input("extra", timeout=timedelta(hours=1), expected_type=int)
    nap = sleep(timedelta(seconds=1))
    result = scale(n=approved, factor=extra)
    nap >> result
    return result


child_plan = LaunchPlan.get_or_create(three_way, name="control.child_plan", default_inputs={"n": 4})


@workflow
def child(n: int) -> int:
    return double(n=child_plan(n=n))


@task(retries=3)
def flaky(marks: str) -> int:
    """Fails twice, recoverably; which attempt this is shows in a file outside the platform."""
    with open(marks, "a") as f:
        f.write("x")
    attempt = os.path.getsize(marks)
    if attempt < 3:
        raise FlyteRecoverableException(f"attempt {attempt}")
    return attempt


@workflow
def retried(marks: str) -> int:
    return flaky(marks=marks)


@task(cache=True, cache_version="1")
def expensive(n: int, marks: str) -> int:
    with open(marks, "a") as f:
        f.write("x")
    return n + 1


@workflow
def cached(n: int, marks: str) -> int:
    return expensive(n=n, marks=marks)


@task
def boom(n: int) -> int:
    if n >= 0:
        raise RuntimeError("boom")
    return n


@task
def slow(n: int) -> int:
    import time

    time.sleep(2)
    return n


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def fail_late(n: int) -> int:
    boom(n=n)
    return slow(n=n)


@workflow
def fail_now(n: int) -> int:
    boom(n=n)
    return slow(n=n)


@task
def sleeper(seconds: int) -> int:
    import time

    time.sleep(seconds)
    return seconds


@workflow
def long_run(seconds: int = 60) -> int:
    return sleeper(seconds=seconds)


@task(enable_deck=True)
def with_deck(title: str) -> str:
    from flytekit import Deck

    Deck("report", f"<h1>{title}</h1>")
    print("a line of output from", current_context().execution_id)
    return title


@workflow
def decked(title: str = "Aloft") -> str:
    return with_deck(title=title)
