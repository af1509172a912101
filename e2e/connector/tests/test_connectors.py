"""A-160…A-164, C-191, S-35: flytekit's connectors, unmodified, as a backend of the platform."""

import os

from flyteidl.core.execution_pb2 import TaskExecution, WorkflowExecution

from flytekit_client import only_attempt, until


def ended(remote, execution, timeout: float = 120):
    return remote.wait(execution, timeout=timeout, poll_interval=0.2)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_asynchronous_synchronous_and_python_tasks_pass_values_on(remote, launch, platform):
    execution = ended(remote, launch("mixed", {"a": 1}))
    assert execution.closure.phase == WorkflowExecution.SUCCEEDED, execution.error
    assert execution.outputs["o0"] == 16
    job = only_attempt(platform.grpc, execution)
    assert [log.name for log in job.closure.logs] == ["Job"]
    assert job.closure.custom_info["job"].startswith(execution.id.name)


def test_ten_million_bytes_from_a_python_task_reach_a_connector(remote, launch):
    # Without what its nodes gave: flytekit downloads large outputs by a signed address, and its name for that file is too long for a disk.
    execution = remote.wait(launch("large", {"length": 10_000_000}), timeout=120, poll_interval=0.2, sync_nodes=False)
    assert execution.closure.phase == WorkflowExecution.SUCCEEDED, execution.error
    assert execution.outputs["o0"] == 10_000_000


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
    assert only_attempt(platform.grpc, execution).closure.phase == TaskExecution.SUCCEEDED
