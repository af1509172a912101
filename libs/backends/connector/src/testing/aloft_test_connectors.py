"""Connectors for the tests, served by flytekit itself: `pyflyte serve connector --modules aloft_test_connectors`.

A job of `aloft_test_async` is a process of this machine in a folder of its own, so that it outlives the connector; it is named after
the attempt, so creating it twice finds it. `aloft_test_sync` answers within the call.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from flyteidl.admin.agent_pb2 import GetTaskMetricsResponse
from flyteidl.core.execution_pb2 import TaskExecution, TaskLog
from flyteidl.core.metrics_pb2 import ExecutionMetricResult
from flytekit import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.extend.backend.base_connector import (
    AsyncConnectorBase,
    ConnectorRegistry,
    Resource,
    ResourceMeta,
    SyncConnectorBase,
)

SCRIPT = """
echo started >> "$1/starts"
if [ "$2" = until-finished ]; then while [ ! -e "$1/finish" ]; do sleep 0.02; done; fi
echo 0 > "$1/exit"
"""


@dataclass
class JobMeta(ResourceMeta):
    folder: str
    behaviour: str


def _alive(folder: Path) -> bool:
    try:
        pid = int((folder / "pid").read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z"
    except (OSError, ValueError, IndexError):
        return False


async def _values(task_template, inputs) -> dict:
    """As stock connectors take their inputs."""
    if not inputs:
        return {}
    types = {name: TypeEngine.guess_python_type(each.type) for name, each in task_template.interface.inputs.items()}
    return await TypeEngine._literal_map_to_kwargs(FlyteContextManager.current_context(), inputs, types)


class TestAsyncConnector(AsyncConnectorBase):
    name = "Aloft test connector"

    def __init__(self):
        super().__init__(task_type_name="aloft_test_async", metadata_type=JobMeta)

    async def create(self, task_template, output_prefix, inputs=None, task_execution_metadata=None, **kwargs):
        behaviour = task_template.custom["behaviour"]
        root = Path(task_template.custom["folder"])
        folder = root / task_execution_metadata.labels["aloft-attempt"] / Path(output_prefix).name
        if behaviour == "be-refused":
            raise ValueError("this connector takes no such job")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(folder / "created", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return JobMeta(folder=str(folder), behaviour=behaviour)
        if behaviour == "measure":
            values = await _values(task_template, inputs)
            (folder / "lengths").write_text(json.dumps({name: len(value) for name, value in values.items()}))
        (folder / "inputs").write_text(json.dumps({k: str(v)[:1000] for k, v in (inputs.literals if inputs else {}).items()}))
        (folder / "environment").write_text(json.dumps(dict(task_execution_metadata.environment_variables or {})))
        job = subprocess.Popen(["sh", "-c", SCRIPT, "job", str(folder), behaviour], start_new_session=True)
        (folder / "pid").write_text(str(job.pid))
        return JobMeta(folder=str(folder), behaviour=behaviour)

    async def get(self, resource_meta: JobMeta, **kwargs):
        folder = Path(resource_meta.folder)
        links = [TaskLog(name="Job", uri=f"http://jobs.test/{folder.parent.name}")]
        if (folder / "away").exists():
            raise RuntimeError("the service behind the connector is away")
        if not (folder / "exit").exists():
            if not _alive(folder) and not (folder / "exit").exists():
                return Resource(phase=TaskExecution.ABORTED, message="somebody ended the job", log_links=links)
            running = (folder / "starts").exists()
            return Resource(phase=TaskExecution.RUNNING if running else TaskExecution.QUEUED, log_links=links)
        behaviour = resource_meta.behaviour
        if behaviour == "fail":
            return Resource(phase=TaskExecution.FAILED, message="this task fails", log_links=links)
        if behaviour == "fail-recoverable":
            return Resource(phase=TaskExecution.RETRYABLE_FAILED, message="this task fails", log_links=links)
        outputs = {
            "write-nothing": None,
            "write-other-name": {"y": 7},
            "write-much": {"x": "7" * 50_000},
        }.get(behaviour, {"x": 7})
        info = {"job": folder.parent.name}
        return Resource(phase=TaskExecution.SUCCEEDED, outputs=outputs, log_links=links, custom_info=info)

    async def delete(self, resource_meta: JobMeta, **kwargs):
        folder = Path(resource_meta.folder)
        failures = folder.parent.parent / "failing-deletes"
        if failures.exists():
            left = int(failures.read_text())
            if left > 0:
                failures.write_text(str(left - 1))
                raise RuntimeError("the job could not be deleted")
        try:
            os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            pass
        while _alive(folder):
            await asyncio.sleep(0.01)

    async def get_metrics(self, resource_meta: JobMeta, **kwargs):
        slots = ExecutionMetricResult(metric="slots")
        slots.data.update({"used": 3})
        cpu = ExecutionMetricResult(metric="EXECUTION_METRIC_USED_CPU_AVG")
        values = [[1000, "0.5"], [1010, "0.5"]]
        cpu.data.update({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
        return GetTaskMetricsResponse(results=[slots, cpu])


class TestSyncConnector(SyncConnectorBase):
    name = "Aloft test sync connector"

    def __init__(self):
        super().__init__(task_type_name="aloft_test_sync")

    async def do(self, task_template, output_prefix, inputs=None, **kwargs):
        behaviour = task_template.custom["behaviour"]
        if behaviour == "raise":
            raise ValueError("nothing comes of this")
        if behaviour == "fail":
            return Resource(phase=TaskExecution.FAILED, message="this task fails")
        if behaviour == "measure":
            values = await _values(task_template, inputs)
            return Resource(phase=TaskExecution.SUCCEEDED, outputs={"x": sum(len(value) for value in values.values())})
        given = inputs.literals["a"].scalar.primitive.integer if inputs and inputs.literals else 0
        return Resource(phase=TaskExecution.SUCCEEDED, outputs={"x": given + 1})


# Children that ended are taken away, as an init process would.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
ConnectorRegistry.register(TestAsyncConnector())
ConnectorRegistry.register(TestSyncConnector())
sys.stdout.flush()
