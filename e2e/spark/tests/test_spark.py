"""C-181, S-11: tasks of flytekitplugins-spark, unmodified, as drivers of the real spark-submit."""

import os
import re
import urllib.request

from flyteidl.core.execution_pb2 import TaskExecution, WorkflowExecution

from flytekit_client import only_attempt, until


def ended(remote, execution, timeout: float = 240):
    return remote.wait(execution, timeout=timeout, poll_interval=0.5)


def drivers_processes(platform) -> list[int]:
    """Drivers, their virtual machines and their workers: whatever has its temporary files in an attempt's folder."""
    wanted = f"TMPDIR={platform.directory}/data/spark/work/attempts/".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = open(f"/proc/{pid}/environ", "rb").read()
        except OSError:
            continue
        if wanted in environment:
            found.append(int(pid))
    return found


def links(of) -> dict[str, str]:
    return {log.name: log.uri for log in of.closure.logs}


def test_run_remote_passes_values_on_and_spark_is_told_what_the_task_states(remote, platform, pyflyte):
    said = pyflyte("run", "--remote", "sparked.py", "mixed", "--n", "3")
    name = re.search(r"executions/(\w+)", said).group(1)
    execution = ended(remote, remote.fetch_execution(name=name))
    assert execution.closure.phase == WorkflowExecution.SUCCEEDED, execution.error
    assert execution.outputs["o0"] == 2 * sum(n * n for n in range(7))
    told = execution.outputs["o1"]
    assert told["spark.executor.memory"] == "640m"
    assert told["spark.executor.instances"] == "1"
    assert told["spark.driver.memory"] == "600m"
    assert told["spark.hadoop.aloft.check"] == "stated"
    assert told["spark.master"] == "local[2]", "the platform's, not the task's"
    driver = only_attempt(platform.grpc, execution, "n1")
    assert dict(driver.closure.custom_info) == {"master": "local[2]", "deployMode": "client"}
    output = urllib.request.urlopen(links(driver)["Output"]).read().decode()
    assert "Running Spark version 3.5" in output


def test_a_failure_on_an_executor_fails_the_run_with_its_words(remote, launch):
    execution = ended(remote, launch("failing", {"n": 1}))
    assert execution.closure.phase == WorkflowExecution.FAILED
    assert "ZeroDivisionError" in execution.error.message


def test_its_user_interface_is_linked_while_it_runs_and_an_abort_ends_all_of_it(remote, launch, platform, tmp_path):
    execution = launch("waiting", {"folder": str(tmp_path)})
    until((tmp_path / "starts").exists, timeout=120)
    uri = links(only_attempt(platform.grpc, execution, "n0"))["Spark UI"]
    page = urllib.request.urlopen(f"{uri}/api/v1/applications").read().decode()
    assert f"FlyteSpark: {execution.id.name}" in page or execution.id.name in page, page
    assert len(drivers_processes(platform)) > 1
    remote.terminate(execution, "enough")
    assert ended(remote, execution).closure.phase == WorkflowExecution.ABORTED
    until(lambda: not drivers_processes(platform), timeout=30)


def test_a_platform_that_was_killed_finds_its_driver_again(remote, launch, platform, tmp_path):
    execution = launch("waiting", {"folder": str(tmp_path)})
    until((tmp_path / "starts").exists, timeout=120)
    platform.kill()
    (tmp_path / "finish").touch()
    platform.start()
    execution = ended(remote, execution)
    assert execution.closure.phase == WorkflowExecution.SUCCEEDED, execution.error
    assert execution.outputs["o0"] == 10
    assert len((tmp_path / "starts").read_text().split()) == 1
    driver = only_attempt(platform.grpc, execution, "n0")
    assert driver.closure.phase == TaskExecution.SUCCEEDED
    assert "Spark UI" in links(driver)
