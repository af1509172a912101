"""recover: a failed run goes on where it failed; what succeeded, items of a map too, is taken over (C-80…C-84)."""

import os
import time
import typing
from functools import partial

from flytekit import map_task, task, workflow


def mark(marks: str, text: str) -> None:
    with open(f"{marks}/{text}", "a") as f:
        f.write("x")


@task
def prepare(count: int, marks: str) -> typing.List[int]:
    mark(marks, "prepare")
    return list(range(count))


@task
def item(n: int, marks: str) -> int:
    """Three of them fail, once they are told to, until somebody mends the world."""
    mark(marks, f"item-{n}")
    while n in (3, 7, 11) and not os.path.exists(f"{marks}/mended"):
        if os.path.exists(f"{marks}/fail"):
            raise ValueError(f"item {n} is broken")
        time.sleep(0.1)
    return n * 10


@task
def total(values: typing.List[int], marks: str) -> int:
    mark(marks, "total")
    return sum(values)


@workflow
def wf(count: int, marks: str) -> typing.Tuple[typing.List[int], int]:
    values = map_task(partial(item, marks=marks))(n=prepare(count=count, marks=marks))
    return values, total(values=values, marks=marks)
