"""Stock flytekit against a running platform: the one named by ALOFT_E2E_ENDPOINT, else one started for the session."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = pathlib.Path(__file__).resolve().parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

# What the platform under test keeps for its tasks; tools/distributed-suite.mjs gives the same to the other shape.
SECRETS = {"ALOFT_SECRET_TEAM_TOKEN": "open-sesame", "ALOFT_SECRET_TEAM_CERTIFICATE": "certified"}

READY = re.compile(r"gRPC (\S+:\d+), HTTP (http://\S+?)(?:\s|,|$)")


class Platform:
    """One platform as a child process; `kill` and `start` again keep its data."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.process = None
        self.grpc = self.http = ""
        self.log = open(directory / "platform.log", "ab")

    def start(self, timeout: float = 60.0) -> "Platform":
        env = {
            **os.environ,
            **SECRETS,
            "ALOFT_DATA_DIR": str(self.directory / "data"),
            "ALOFT_GRPC_PORT": self.grpc.rpartition(":")[2] or "0",
            "ALOFT_HTTP_PORT": self.http.rpartition(":")[2] or "0",
            "ALOFT_PYTHON": sys.executable,
        }
        main = ROOT / "apps" / "standalone" / "dist" / "main.js"
        self.process = subprocess.Popen(["node", str(main)], env=env, stdout=subprocess.PIPE, stderr=self.log, cwd=self.directory)
        deadline = time.monotonic() + timeout
        seen = b""
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                chunk = os.read(self.process.stdout.fileno(), 65536)
                seen += chunk
                self.log.write(chunk)
                self.log.flush()
            found = READY.search(seen.decode(errors="replace"))
            if found:
                self.grpc, self.http = found.group(1), found.group(2)
                self._drain()
                return self
            if self.process.poll() is not None:
                break
        raise RuntimeError(f"the platform did not become ready; see {self.directory}/platform.log\n{seen.decode(errors='replace')}")

    def _drain(self) -> None:
        import threading

        stream, log = self.process.stdout, self.log

        def copy() -> None:
            for chunk in iter(lambda: os.read(stream.fileno(), 65536), b""):
                log.write(chunk)
                log.flush()

        threading.Thread(target=copy, daemon=True).start()

    def stop(self) -> int:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)
        return self.process.returncode if self.process else 0

    def logs(self) -> list[pathlib.Path]:
        """Of its processes; none for a platform that was there already, unless it says where they are."""
        topology = os.environ.get("ALOFT_TOPOLOGY")
        services = json.loads(pathlib.Path(topology).read_text())["services"] if topology else []
        return [self.directory / "platform.log", *(pathlib.Path(service["log"]) for service in services)]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def platform():
    endpoint = os.environ.get("ALOFT_E2E_ENDPOINT")
    if endpoint:
        fixed = Platform(pathlib.Path(tempfile.mkdtemp(prefix="aloft-e2e-")))
        fixed.grpc, fixed.http = endpoint, os.environ["ALOFT_E2E_HTTP"]
        yield fixed
        return
    directory = pathlib.Path(tempfile.mkdtemp(prefix="aloft-e2e-"))
    os.chmod(directory, 0o755)
    started = Platform(directory).start()
    try:
        yield started
    finally:
        started.stop()
        if not os.environ.get("ALOFT_E2E_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


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
        command = [str(pathlib.Path(sys.executable).parent / "pyflyte"), "--config", str(config_file), *args]
        done = subprocess.run(command, cwd=SCRIPTS, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        if check:
            assert done.returncode == 0, done.stdout
        return done

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
