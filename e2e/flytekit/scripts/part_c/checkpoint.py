"""checkpoint: what one attempt saved, the next one reads, also where a time limit ended it (C-109)."""

import time
from datetime import timedelta

from flytekit import current_context, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task(retries=3)
def count_to(goal: int) -> int:
    checkpoint = current_context().checkpoint
    previous = checkpoint.read()
    reached = int(previous.decode()) if previous else 0
    checkpoint.write(str(reached + 1).encode())
    if reached < goal:
        raise FlyteRecoverableException(f"got to {reached}")
    return reached


@workflow
def wf(goal: int) -> int:
    return count_to(goal=goal)


@task(retries=1, timeout=timedelta(seconds=30))
def slow(text: str) -> str:
    checkpoint = current_context().checkpoint
    previous = checkpoint.read()
    if previous is None:
        checkpoint.write(text.encode())
        time.sleep(60)
        return "too late"
    return previous.decode()


@workflow
def after_timeout(text: str) -> str:
    return slow(text=text)
