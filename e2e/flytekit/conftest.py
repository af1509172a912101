"""Stock flytekit against a running platform: the one named by ALOFT_E2E_ENDPOINT, else one started for the session."""

import os
import pathlib
import subprocess
import sys
import time

import pytest
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

from flytekit_client import run_pyflyte
from platform_process import PlatformProcess, running_platform

SCRIPTS = pathlib.Path(__file__).resolve().parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

# What the platform under test keeps for its tasks; tools/distributed-suite.mjs gives the same to the other shape.
SECRETS = {"ALOFT_SECRET_TEAM_TOKEN": "open-sesame", "ALOFT_SECRET_TEAM_CERTIFICATE": "certified"}


class Platform(PlatformProcess):
    environment = SECRETS


@pytest.fixture(scope="session")
def platform():
    with running_platform(Platform) as platform:
        yield platform


@pytest.fixture(scope="session")
def config(config_file) -> Config:
    return Config.auto(str(config_file))


@pytest.fixture(scope="session")
def remote(config) -> FlyteRemote:
    return FlyteRemote(config, default_project="flytesnacks", default_domain="development", interactive_mode_enabled=False)


@pytest.fixture(scope="session")
def config_file(platform) -> pathlib.Path:
    """The one that the platform writes for its clients."""
    return pathlib.Path(os.environ.get("ALOFT_E2E_CONFIG", platform.directory / "data" / "flytekit.yaml"))


@pytest.fixture(scope="session")
def pyflyte(config_file):
    """Runs the stock command line; returns the finished process (output in `.stdout`)."""

    def run(*args: str, check: bool = True, timeout: float = 180) -> subprocess.CompletedProcess:
        return run_pyflyte(config_file, *args, cwd=SCRIPTS, check=check, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def version() -> str:
    return f"e2e-{int(time.time())}"


@pytest.fixture(scope="session")
def registered(pyflyte, version) -> str:
    """All scripts registered by `pyflyte register` (fast registration); gives their version."""
    pyflyte("register", "-p", "flytesnacks", "-d", "development", "--version", version, "--copy=all", ".")
    return version


@pytest.fixture
def launch(remote, registered):
    """Launches a registered workflow by name and waits; gives the synced execution."""

    def go(name: str, inputs: dict, wait: bool = True, **options):
        plan = remote.fetch_launch_plan(name=f"scripts.{name}", version=registered)
        execution = remote.execute(plan, inputs=inputs, wait=False, **options)
        return remote.wait(execution, timeout=120, poll_interval=0.2) if wait else execution

    return go
