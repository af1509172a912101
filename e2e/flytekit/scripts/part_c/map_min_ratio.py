"""map-min-ratio: half of the items may fail, and are None in the result (C-141)."""

import typing

from flytekit import map_task, task, workflow


@task
def even_only(n: int) -> typing.Optional[int]:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n


@workflow
def wf(values: typing.List[int]) -> typing.List[typing.Optional[int]]:
    return map_task(even_only, min_success_ratio=0.5)(n=values)
