"""retry-user: failures of the task's own use its `retries` (C-30, C-32)."""

import os

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task(retries=2)
def flaky(failures: int) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt < failures:
        raise FlyteRecoverableException(f"attempt {attempt} has no luck")
    return attempt


@workflow
def wf(failures: int) -> int:
    return flaky(failures=failures)
