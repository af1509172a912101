"""subwf: two levels of sub-workflows, in the same execution (C-12, S-13)."""

import typing

from flytekit import task, workflow


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
def divide(a: int, b: int) -> typing.NamedTuple("Parts", quotient=int, remainder=int):
    return a // b, a % b


@workflow
def inner(a: int, b: int) -> typing.NamedTuple("Inner", total=int, quotient=int):
    parts = divide(a=a, b=b)
    return add(a=parts.quotient, b=parts.remainder), parts.quotient


@workflow
def middle(a: int) -> int:
    result = inner(a=a, b=7)
    return add(a=result.total, b=result.quotient)


@workflow
def wf(a: int) -> int:
    return add(a=middle(a=a), b=0)
