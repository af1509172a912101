"""A-160…A-164, C-191, S-35: flytekit's connectors, unmodified, as a backend of the platform."""

import os
import time

import grpc
import pytest
from flyteidl.admin.task_execution_pb2 import TaskExecutionListRequest
from flyteidl.core.execution_pb2 import TaskExecution, WorkflowExecution
from flyteidl.service.admin_pb2_grpc import AdminServiceStub


def ended(remote, execution, timeout: float = 120):
    return remote.wait(execution, timeout=timeout, poll_interval=0.2)


def task_execution(platform, execution, node: str = "n0"):
    """As the API has it: flytekit's model of one leaves the custom info out."""
    request = TaskExecutionListRequest(node_execution_id={"node_id": node, "execution_id": execution.id.to_flyte_idl()}, limit=10)
    with grpc.insecure_channel(platform.grpc) as channel:
        listed = AdminServiceStub(channel).ListTaskExecutions(request).task_executions
    assert len(listed) == 1, listed
    return listed[0]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(found, timeout: float = 60):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail("nothing was found in time")


def test_asynchronous_synchronous_and_python_tasks_pass_values_on(remote, launch, platform):
    execution = ended(remote, launch("mixed", {"a": 1}))
    assert execution.closure.phase == WorkflowExecution.SUCCEEDED, execution.error
    assert execution.outputs["o0"] == 16
    job = task_execution(platform, execution)
    assert [log.name for log in job.closure.logs] == ["Job"]
    assert job.closure.custom_info["job"].startswith(execution.id.name)


def test_a_failed_job_fails_the_run_with_the_connectors_words(remote, launch):
    execution = ended(remote, launch("failing_job", {"a": 1}))
    assert execution.closure.phase == WorkflowExecution.FAILED
    assert "this task fails" in execution.error.message


def test_an_aborted_run_ends_its_job(remote, launch, jobs):
    execution = launch("waiting_job", {"a": 1})
    folder = until(lambda: next(iter(jobs.glob(f"{execution.id.name}*/*/starts")), None)).parent
    remote.terminate(execution, "enough")
    assert ended(remote, execution).closure.phase == WorkflowExecution.ABORTED
    until(lambda: not alive(int((folder / "pid").read_text())), timeout=10)


def test_platform_and_connector_killed_while_a_job_runs_find_it_again(remote, launch, jobs, platform, connector):
    execution = launch("waiting_job", {"a": 1})
    starts = until(lambda: next(iter(jobs.glob(f"{execution.id.name}*/*/starts")), None))
    platform.kill()
    connector.kill()
    (starts.parent / "finish").touch()
    connector.start()
    platform.start()
    execution = ended(remote, execution)
    assert execution.closure.phase == WorkflowExecution.SUCCEEDED, execution.error
    assert starts.read_text().split() == ["started"]
    assert task_execution(platform, execution).closure.phase == TaskExecution.SUCCEEDED
