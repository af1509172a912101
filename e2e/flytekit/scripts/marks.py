"""Tasks that record their own starts and ends in a file outside the platform."""

import os
import time
import typing

from flytekit import dynamic, task, workflow


def mark(path: str, what: str, index: int) -> None:
    attempt = os.environ.get("FLYTE_ATTEMPT_NUMBER", "0")
    line = f"{what} {index} {time.time():.6f} {attempt} {os.getpid()}\n".encode()
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


@task
def step(index: int, after: int, path: str, seconds: float) -> int:
    mark(path, "start", index)
    time.sleep(seconds)
    mark(path, "end", index)
    return index


@task
def add_up(values: typing.List[int]) -> int:
    return sum(values)


@dynamic
def spread(chains: int, length: int, path: str, seconds: float) -> int:
    """`chains` chains of `length` steps side by side; step i of chain c has index c * length + i."""
    ends = []
    for c in range(chains):
        last = 0
        for i in range(length):
            last = step(index=c * length + i, after=last, path=path, seconds=seconds)
        ends.append(last)
    return add_up(values=ends)


@workflow
def many_steps(chains: int, length: int, path: str, seconds: float) -> int:
    return spread(chains=chains, length=length, path=path, seconds=seconds)
