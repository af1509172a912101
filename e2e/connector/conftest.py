"""Stock flytekit against a platform that has flytekit's own connector server: unmodified on both sides."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import grpc
import pytest
import yaml
from flytekit.remote import FlyteRemote

from flytekit_client import register_scripts, remote_of
from platform_process import ROOT, PlatformProcess, running_platform

SCRIPTS = pathlib.Path(__file__).resolve().parent / "scripts"


def free_port() -> int:
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Connector:
    """`pyflyte serve connector`; `kill` and `start` again keep its address."""

    def __init__(self):
        self.port, self.metrics = free_port(), free_port()
        self.process = None
        self.environment: dict[str, str] = {}

    def start(self) -> "Connector":
        pyflyte = pathlib.Path(sys.executable).parent / "pyflyte"
        ports = ["--port", str(self.port), "--prometheus_port", str(self.metrics)]
        command = [str(pyflyte), "serve", "connector", *ports, "--modules", "aloft_test_connectors"]
        folder = ROOT / "libs" / "backends" / "connector" / "src" / "testing"
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def connector():
    connector = Connector().start()
    yield connector
    connector.kill()


@pytest.fixture(scope="session")
def platform(connector):
    class Platform(PlatformProcess):
        environment = {
            "ALOFT_BACKENDS_CONNECTOR_SERVERS": json.dumps([{"name": "flytekit", "address": f"127.0.0.1:{connector.port}"}]),
            "ALOFT_BACKENDS_CONNECTOR_POLL_MS_FIRST": "50",
            "ALOFT_BACKENDS_CONNECTOR_POLL_MS_LONGEST": "500",
        }

    with running_platform(Platform) as platform:
        connection = yaml.safe_load((platform.directory / "data" / "flytekit.yaml").read_text())["storage"]["connection"]
        connector.kill()
        # How it reaches the platform's storage is known by now.
        connector.environment = {
            "FLYTE_AWS_ENDPOINT": connection["endpoint"],
            "FLYTE_AWS_ACCESS_KEY_ID": connection["access-key"],
            "FLYTE_AWS_SECRET_ACCESS_KEY": connection["secret-key"],
        }
        connector.start()
        yield platform


@pytest.fixture(scope="session")
def remote(platform) -> FlyteRemote:
    return remote_of(platform.directory / "data" / "flytekit.yaml")


@pytest.fixture(scope="session")
def jobs(tmp_path_factory) -> pathlib.Path:
    """Where the connector's jobs live."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="session")
def registered(platform, jobs) -> str:
    return register_scripts(platform.directory / "data" / "flytekit.yaml", SCRIPTS, {"ALOFT_TEST_JOBS": str(jobs)})


@pytest.fixture
def launch(remote, registered):
    def go(name: str, inputs: dict):
        plan = remote.fetch_launch_plan(name=f"scripts.connected.{name}", version=registered)
        return remote.execute(plan, inputs=inputs, wait=False)

    return go
