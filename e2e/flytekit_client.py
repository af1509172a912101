"""Stock flytekit as the Python suites use it: its command line, its client, and patience."""

import os
import pathlib
import subprocess
import sys
import time
import typing

import grpc
import pytest
from flyteidl.admin.task_execution_pb2 import TaskExecution, TaskExecutionListRequest
from flyteidl.service.admin_pb2_grpc import AdminServiceStub
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote


def remote_of(config_file: pathlib.Path) -> FlyteRemote:
    config = Config.auto(str(config_file))
    return FlyteRemote(config, default_project="flytesnacks", default_domain="development", interactive_mode_enabled=False)


def run_pyflyte(
    config_file: pathlib.Path,
    *arguments: str,
    cwd: pathlib.Path,
    environment: typing.Mapping[str, str] = {},
    check: bool = True,
    timeout: float = 180,
) -> subprocess.CompletedProcess:
    """The finished command (output in `.stdout`)."""
    command = [str(pathlib.Path(sys.executable).parent / "pyflyte"), "--config", str(config_file), *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    if check:
        assert done.returncode == 0, done.stdout
    return done


def register_scripts(config_file: pathlib.Path, scripts: pathlib.Path, environment: typing.Mapping[str, str] = {}) -> str:
    """Registers all of a folder; returns the version."""
    version = f"e2e-{int(time.time())}"
    target = ["-p", "flytesnacks", "-d", "development", "--version", version, "--copy=all", "."]
    run_pyflyte(config_file, "register", *target, cwd=scripts, environment=environment)
    return version


def only_attempt(address: str, execution, node: str = "n0") -> TaskExecution:
    """Of a node that has had one, as the API has it: flytekit's model leaves the custom info out."""
    request = TaskExecutionListRequest(node_execution_id={"node_id": node, "execution_id": execution.id.to_flyte_idl()}, limit=10)
    with grpc.insecure_channel(address) as channel:
        listed = AdminServiceStub(channel).ListTaskExecutions(request).task_executions
    assert len(listed) == 1, listed
    return listed[0]


def until(found: typing.Callable[[], typing.Any], timeout: float = 60) -> typing.Any:
    """What it finds, once it finds something; fails the test after so many seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail("nothing was found in time")
