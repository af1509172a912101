"""Control flow beside the checks of part_c: a branch that fails, a map with a bound input, a dynamic, a long run."""

import time
import typing
from functools import partial

from flytekit import conditional, dynamic, map_task, task, workflow


@task
def double(n: int) -> int:
    return n * 2


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


@dynamic
def fibonacci_sum(n: int) -> int:
    values = [double(n=i) for i in range(n)]
    return total(values=values)


@workflow
def dynamics(n: int) -> int:
    return double(n=fibonacci_sum(n=n))


@task
def sleeper(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


@workflow
def long_run(seconds: int = 60) -> int:
    return sleeper(seconds=seconds)
