"""secrets: what a task asked for comes as a variable or a file of its own process, and nowhere else (C-175)."""

import hashlib
import os

from flytekit import Secret, current_context, task, workflow


@task(
    secret_requests=[
        Secret(group="team", key="token", mount_requirement=Secret.MountType.ENV_VAR),
        Secret(group="team", key="certificate", mount_requirement=Secret.MountType.FILE),
    ]
)
def digest() -> str:
    """Proves that it has them without telling them."""
    secrets = current_context().secrets
    both = secrets.get("team", "token") + secrets.get("team", "certificate")
    return hashlib.sha256(both.encode()).hexdigest()


@task
def others() -> bool:
    """Whether a task that asked for none sees any."""
    return any(name.startswith(("_FSEC_", "ALOFT_SECRET_")) for name in os.environ)


@workflow
def wf() -> tuple[str, bool]:
    return digest(), others()
