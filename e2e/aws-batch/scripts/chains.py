"""A chain of tasks that read nothing of each other: each only runs after the one before."""

import os
import time

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


def note(diary: str, what: str) -> str:
    line = f"{what}{os.environ['FLYTE_ATTEMPT_NUMBER']}"
    with open(diary, "a") as file:
        file.write(f"{line}\n")
    return line


@task(retries=1)
def first(diary: str, fails_once: bool) -> str:
    line = note(diary, "a")
    time.sleep(10)
    if fails_once and line == "a0":
        raise FlyteRecoverableException("the first attempt fails")
    return line


@task
def second(diary: str) -> str:
    return note(diary, "b")


@task
def third(diary: str) -> str:
    return note(diary, "c")


@workflow
def chain(diary: str, fails_once: bool) -> tuple[str, str, str]:
    a = first(diary=diary, fails_once=fails_once)
    b = second(diary=diary)
    c = third(diary=diary)
    a >> b
    b >> c
    return a, b, c
