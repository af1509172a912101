"""failure-node: runs when the workflow has failed, with its inputs and the error (C-62, C-64)."""

import typing

from flytekit import task, workflow
from flytekit.types.error.error import FlyteError


@task
def fine(path: str) -> str:
    return path


@task
def boom(path: str) -> str:
    if path:
        raise ValueError(f"no luck with {path}")
    return path


@task
def tidy(path: str, err: typing.Optional[FlyteError] = None) -> None:
    with open(path, "w") as f:
        f.write(f"{err.failed_node_id}\n{err.message}")


@workflow(on_failure=tidy)
def wf(path: str) -> str:
    return boom(path=fine(path=path))
