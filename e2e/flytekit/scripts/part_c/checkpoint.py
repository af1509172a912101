"""checkpoint: what one attempt saved, the next one reads (C-109)."""

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
