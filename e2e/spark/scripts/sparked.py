"""Stock Spark tasks: C-181, S-11 (the check `spark`)."""

import os
import pathlib
import time
import typing

import flytekit
from flytekit import task, workflow
from flytekitplugins.spark import Spark

SMALL = {
    "spark.driver.memory": "600m",
    "spark.executor.memory": "640m",
    "spark.executor.cores": "1",
    "spark.executor.instances": "1",
    "spark.default.parallelism": "2",
    "spark.sql.shuffle.partitions": "2",
    # For runs on the author's machine; a platform has its own.
    "spark.master": "local[1]",
}


def square(n: int) -> int:
    return n * n


@task
def double(n: int) -> int:
    return n * 2


@task(task_config=Spark(spark_conf=SMALL, hadoop_conf={"aloft.check": "stated"}))
def squares(n: int) -> typing.Tuple[int, typing.Dict[str, str]]:
    """The sum of the first squares, by Python on executors; and what Spark was told."""
    session = flytekit.current_context().spark_session
    total = session.sparkContext.parallelize(range(n + 1)).map(square).sum()
    told = {name: session.conf.get(name, "") for name in (*SMALL, "spark.hadoop.aloft.check")}
    return total, told


@workflow
def mixed(n: int) -> typing.Tuple[int, typing.Dict[str, str]]:
    total, told = squares(n=double(n=n))
    return double(n=total), told


@task(task_config=Spark(spark_conf=SMALL))
def fail(n: int) -> int:
    session = flytekit.current_context().spark_session
    return session.sparkContext.parallelize([n]).map(lambda each: 1 // (each - n)).sum()


@workflow
def failing(n: int) -> int:
    return fail(n=n)


@task(task_config=Spark(spark_conf=SMALL))
def wait(folder: str) -> int:
    """Leaves a mark when its session is there, and ends when it is told to."""
    session = flytekit.current_context().spark_session
    place = pathlib.Path(folder)
    with open(place / "starts", "a") as starts:
        starts.write(f"{os.getpid()}\n")
    while not (place / "finish").exists():
        time.sleep(0.05)
    return session.range(10).count()


@workflow
def waiting(folder: str) -> int:
    return wait(folder=folder)
