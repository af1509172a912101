"""Plain shapes: one task, a chain, a sub-workflow, an attribute path, default and named outputs."""

import typing
from dataclasses import dataclass, field

from flytekit import Resources, task, workflow
from mashumaro.mixins.json import DataClassJSONMixin


@task(requests=Resources(cpu="100m", mem="100Mi"))
def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow
def hello(name: str = "world") -> str:
    return greet(name=name)


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@workflow
def chain(a: int) -> int:
    x = add(a=a)
    x = add(a=x)
    x = add(a=x, b=10)
    return x


@task
def divmod_task(a: int, b: int) -> typing.NamedTuple("DivMod", quotient=int, remainder=int):
    return a // b, a % b


@workflow
def inner(a: int, b: int) -> typing.NamedTuple("Inner", total=int, quotient=int):
    parts = divmod_task(a=a, b=b)
    return add(a=parts.quotient, b=parts.remainder), parts.quotient


@workflow
def middle(a: int) -> int:
    result = inner(a=a, b=7)
    return add(a=result.total, b=result.quotient)


@workflow
def outer(a: int) -> int:
    """Two levels of sub-workflows (S-13)."""
    return add(a=middle(a=a), b=0)


@dataclass
class Point(DataClassJSONMixin):
    x: int
    labels: typing.List[str] = field(default_factory=lambda: ["first", "second"])
    nested: typing.Dict[str, float] = field(default_factory=lambda: {"pi": 3.14})


@task
def make_point(x: int) -> Point:
    return Point(x=x)


@task
def make_list() -> typing.List[typing.Dict[str, int]]:
    return [{"a": 1}, {"a": 2}]


@task
def describe(x: int, label: str, labels: typing.List[str], pi: float, second: int) -> str:
    return f"{x} {label} {','.join(labels)} {pi} {second}"


@workflow
def attribute_path(x: int) -> str:
    """C-103: keys and indexes into a dataclass, a list and a map."""
    p = make_point(x=x)
    values = make_list()
    return describe(x=p.x, label=p.labels[1], labels=p.labels, pi=p.nested["pi"], second=values[1]["a"])


@task
def fail_with_value_error(message: str) -> int:
    if message:
        raise ValueError(f"no luck: {message}")
    return 0


@workflow
def failing(message: str = "expected") -> int:
    return fail_with_value_error(message=message)
