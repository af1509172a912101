"""attr-path: keys and indexes into a dataclass, a list and a map (C-103)."""

import typing
from dataclasses import dataclass, field

from flytekit import task, workflow
from mashumaro.mixins.json import DataClassJSONMixin


@dataclass
class Inner(DataClassJSONMixin):
    rate: float = 0.25


@dataclass
class Point(DataClassJSONMixin):
    x: int
    labels: typing.List[str] = field(default_factory=lambda: ["first", "second"])
    nested: typing.Dict[str, float] = field(default_factory=lambda: {"pi": 3.14})
    inner: Inner = field(default_factory=Inner)


@task
def make_point(x: int) -> Point:
    return Point(x=x)


@task
def make_list() -> typing.List[typing.Dict[str, int]]:
    return [{"a": 1}, {"a": 2}]


@task
def describe(x: int, label: str, labels: typing.List[str], pi: float, rate: float, second: int) -> str:
    return f"{x} {label} {','.join(labels)} {pi} {rate} {second}"


@workflow
def wf(x: int) -> str:
    p = make_point(x=x)
    values = make_list()
    return describe(
        x=p.x, label=p.labels[1], labels=p.labels, pi=p.nested["pi"], rate=p.inner.rate, second=values[1]["a"]
    )


@task
def label_of(labels: typing.List[str], label: str) -> str:
    return label


@workflow
def out_of_range(x: int) -> str:
    p = make_point(x=x)
    return label_of(labels=p.labels, label=p.labels[5])
