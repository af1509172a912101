"""union-promote: a value where a union is wanted, a union where a wider one is, None where it may be missing (C-111)."""

import typing

from flytekit import task, workflow


@task
def number(n: int) -> int:
    return n


@task
def maybe(n: int) -> typing.Optional[int]:
    return n if n > 0 else None


@task
def either(value: typing.Union[int, str]) -> str:
    return f"{type(value).__name__} {value}"


@task
def any_of(value: typing.Union[int, str, None], rest: typing.List[typing.Union[int, str]]) -> str:
    return f"{type(value).__name__} {value} {rest}"


@task
def optional(value: typing.Optional[str] = None) -> str:
    return f"{value}"


@workflow
def wf(n: int) -> typing.Tuple[str, str, str, str]:
    value = number(n=n)
    return either(value=value), any_of(value=maybe(n=n), rest=[value, "x"]), any_of(value=value, rest=[]), optional()
