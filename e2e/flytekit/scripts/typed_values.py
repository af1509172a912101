"""Values of every kind through a task and back."""

import datetime
import enum
import typing
from dataclasses import dataclass

import pandas as pd
from flytekit import task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from mashumaro.mixins.json import DataClassJSONMixin


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Config(DataClassJSONMixin):
    depth: int
    rate: float
    name: str
    tags: typing.List[str]
    big: int = 2**53 + 1


class Opaque:
    """Nothing flytekit knows: travels as a pickle."""

    def __init__(self, secret: int):
        self.secret = secret


@task
def scalars(
    i: int, f: float, s: str, b: bool, when: datetime.datetime, span: datetime.timedelta, color: Color
) -> typing.Tuple[int, float, str, bool, datetime.datetime, datetime.timedelta, Color]:
    return i, f, s, b, when, span, color


@workflow
def scalars_wf(
    i: int, f: float, s: str, b: bool, when: datetime.datetime, span: datetime.timedelta, color: Color
) -> typing.Tuple[int, float, str, bool, datetime.datetime, datetime.timedelta, Color]:
    return scalars(i=i, f=f, s=s, b=b, when=when, span=span, color=color)


@task
def structured(
    config: Config, choice: typing.Union[int, str], maybe: typing.Optional[int], numbers: typing.List[int],
    table: typing.Dict[str, float],
) -> typing.Tuple[Config, typing.Union[int, str], typing.Optional[int], typing.List[int], typing.Dict[str, float]]:
    assert config.big == 2**53 + 1
    return config, choice, maybe, numbers, table


@workflow
def structured_wf(
    config: Config, choice: typing.Union[int, str], numbers: typing.List[int], table: typing.Dict[str, float],
    maybe: typing.Optional[int] = None,
) -> typing.Tuple[Config, typing.Union[int, str], typing.Optional[int], typing.List[int], typing.Dict[str, float]]:
    return structured(config=config, choice=choice, maybe=maybe, numbers=numbers, table=table)


@task
def write_file(text: str) -> FlyteFile:
    with open("out.txt", "w") as f:
        f.write(text)
    return FlyteFile("out.txt")


@task
def read_file(file: FlyteFile) -> str:
    with open(file, "r") as f:
        return f.read().upper()


@task
def write_directory(names: typing.List[str]) -> FlyteDirectory:
    import os

    os.makedirs("folder", exist_ok=True)
    for name in names:
        with open(f"folder/{name}", "w") as f:
            f.write(name)
    return FlyteDirectory("folder")


@task
def list_directory(folder: FlyteDirectory) -> typing.List[str]:
    import os

    return sorted(os.listdir(folder.download()))


@workflow
def files(text: str, names: typing.List[str]) -> typing.Tuple[str, typing.List[str], FlyteFile]:
    written = write_file(text=text)
    return read_file(file=written), list_directory(folder=write_directory(names=names)), written


@task
def make_frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(rows), "square": [i * i for i in range(rows)]})


@task
def sum_frame(frame: pd.DataFrame) -> int:
    return int(frame["square"].sum())


@workflow
def frames(rows: int) -> typing.Tuple[int, pd.DataFrame]:
    frame = make_frame(rows=rows)
    return sum_frame(frame=frame), frame


@task
def make_opaque(secret: int) -> Opaque:
    return Opaque(secret)


@task
def open_opaque(value: Opaque) -> int:
    return value.secret


@workflow
def pickled(secret: int) -> int:
    return open_opaque(value=make_opaque(secret=secret))
