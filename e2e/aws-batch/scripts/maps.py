"""Maps of stock flytekit: partial inputs, an item that fails for good, and one that fails once."""

import os
import typing
from functools import partial

from flytekit import map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task
def scale(n: int, factor: int) -> int:
    print("array index", os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])
    return n * factor


@task(retries=1)
def picky(n: int) -> typing.Optional[int]:
    if n == 3:
        raise ValueError("no threes")
    if n % 2 == 0 and os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException(f"{n} fails once")
    return n


@workflow
def scaled(values: typing.List[int]) -> typing.List[int]:
    return map_task(partial(scale, factor=10))(n=values)


@workflow
def half(values: typing.List[int]) -> typing.List[typing.Optional[int]]:
    return map_task(picky, min_success_ratio=0.5)(n=values)


@workflow
def every(values: typing.List[int]) -> typing.List[typing.Optional[int]]:
    return map_task(picky)(n=values)
