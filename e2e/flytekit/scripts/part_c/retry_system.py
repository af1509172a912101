"""retry-system: a task whose process is killed from outside has a budget of its own, also without `retries` (C-30, C-172)."""

import os
import signal

from flytekit import task, workflow


@task
def killed(times: int) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt < times:
        os.killpg(os.getpgid(0), signal.SIGKILL)
    return attempt


@workflow
def wf(times: int) -> int:
    return killed(times=times)
