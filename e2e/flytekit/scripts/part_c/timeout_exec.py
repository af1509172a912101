"""timeout-exec: a limit of each attempt, which may be tried again (C-50)."""

import os
import time
from datetime import timedelta

from flytekit import task, workflow


@task(timeout=timedelta(seconds=10), retries=1)
def slow(patient_from: int) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt < patient_from:
        time.sleep(60)
    return attempt


@workflow
def wf(patient_from: int) -> int:
    return slow(patient_from=patient_from)
