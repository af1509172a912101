"""Tasks that connectors run, as flytekit's plugins define theirs: a task type, a custom part, and an interface."""

import os

from flytekit import task, workflow
from flytekit.configuration import SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface
from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin, SyncConnectorExecutorMixin


class JobTask(AsyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name: str, behaviour: str, folder: str, **kwargs):
        super().__init__("aloft_test_async", name, task_config=None, interface=Interface({"a": int}, {"x": int}), **kwargs)
        self._custom = {"behaviour": behaviour, "folder": folder}

    def get_custom(self, settings: SerializationSettings) -> dict:
        return self._custom


class CallTask(SyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name: str, behaviour: str, given: type = int, **kwargs):
        super().__init__("aloft_test_sync", name, task_config=None, interface=Interface({"a": given}, {"x": int}), **kwargs)
        self._behaviour = behaviour

    def get_custom(self, settings: SerializationSettings) -> dict:
        return {"behaviour": self._behaviour}


# Where the test connector keeps its jobs: known when this is registered; a worker that runs `double` needs none.
FOLDER = os.environ.get("ALOFT_TEST_JOBS", "")

job = JobTask("connected.job", "succeed", FOLDER)
failing = JobTask("connected.failing", "fail", FOLDER)
waiting = JobTask("connected.waiting", "until-finished", FOLDER)
call = CallTask("connected.call", "succeed")
measure = CallTask("connected.measure", "measure", str)


@task
def double(x: int) -> int:
    return 2 * x


@task
def long(length: int) -> str:
    return "x" * length


@workflow
def large(length: int) -> int:
    """A text that is larger than any message, to a connector."""
    return measure(a=long(length=length))


@workflow
def mixed(a: int) -> int:
    """A job of a connector (7, whatever it is given), a call to another (one more), a Python task (twice)."""
    return double(x=call(a=job(a=a)))


@workflow
def failing_job(a: int) -> int:
    return failing(a=a)


@workflow
def waiting_job(a: int) -> int:
    return waiting(a=a)
