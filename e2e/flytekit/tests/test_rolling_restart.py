"""Every service restarted, one process after the other, under load of stock clients: no call fails, no step is lost or doubled (U-4)."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from flytekit.configuration import Config
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.remote import FlyteRemote

from conftest import SCRIPTS
from test_kill import TERMINAL, read_marks

TOPOLOGY = os.environ.get("ALOFT_TOPOLOGY")
CLIENTS, CHAINS, LENGTH = 4, 2, 5
ORDER = ["catalog", "notifier", "backends", "propeller", "admin"]

pytestmark = pytest.mark.skipif(TOPOLOGY is None, reason="needs the distributed shape: npm run test:integration -- distributed")


def services() -> list:
    return json.loads(pathlib.Path(TOPOLOGY).read_text())["services"]


def is_ready(service: dict) -> bool:
    try:
        return urllib.request.urlopen(f"{service['http']}/readyz", timeout=1).status == 200
    except OSError:
        return False


def restart(service: dict, within: float = 60.0) -> float:
    """SIGTERM to one process, which its launcher starts again; gives the seconds until the new one is ready."""
    began = time.monotonic()
    os.kill(service["pid"], signal.SIGTERM)
    while time.monotonic() < began + within:
        now = next(s for s in services() if (s["name"], s["replica"]) == (service["name"], service["replica"]))
        if now["pid"] != service["pid"] and is_ready(now):
            return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError(f"{service['name']} {service['replica']} was not ready again within {within} s; see {service['log']}")


@pytest.mark.timeout(600)
def test_rolling_restart_under_load(config_file, tmp_path):
    pyflyte = pathlib.Path(sys.executable).parent / "pyflyte"
    version = f"rolling-{int(time.time())}"
    subprocess.run(
        [pyflyte, "--config", config_file, "register", "-p", "flytesnacks", "-d", "development", "--version", version, "--copy=all", "marks.py"],
        cwd=SCRIPTS, check=True, capture_output=True,
    )
    os.chmod(tmp_path, 0o777)
    stop, failures, runs = threading.Event(), [], []

    def client(number: int) -> None:
        """One user of stock flytekit: launches, waits, reads the outputs, again and again."""
        try:
            remote = FlyteRemote(Config.auto(str(config_file)), "flytesnacks", "development", interactive_mode_enabled=False)
            plan = remote.fetch_launch_plan(name="marks.many_steps", version=version)
            turn = 0
            while not stop.is_set():
                marks = tmp_path / f"marks-{number}-{turn}"
                execution = remote.execute(plan, inputs={"chains": CHAINS, "length": LENGTH, "path": str(marks), "seconds": 0.05})
                began = time.monotonic()
                while remote.client.get_execution(execution.id).closure.phase not in TERMINAL:
                    assert time.monotonic() < began + 120, f"{execution.id.name} is stuck"
                    time.sleep(0.1)
                synced = remote.sync(remote.fetch_execution(name=execution.id.name))
                runs.append((execution.id.name, synced.closure.phase, dict(synced.outputs) if synced.outputs else {}, marks))
                turn += 1
        except Exception as error:  # noqa: BLE001 - whatever a user would see is a failure
            failures.append((number, repr(error)))

    clients = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for each in clients:
        each.start()
    times = {}
    try:
        for name in ORDER:
            for service in [s for s in services() if s["name"] == name]:
                times[f"{name} {service['replica']}"] = restart(service)
    finally:
        stop.set()
        for each in clients:
            each.join(timeout=150)
    print("ready again after", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items()), f"; {len(runs)} runs")
    assert failures == []
    assert not any(each.is_alive() for each in clients)
    assert len(runs) >= CLIENTS
    for name, phase, outputs, path in runs:
        assert phase == WorkflowExecutionPhase.SUCCEEDED, name
        assert outputs["o0"] == sum(c * LENGTH + LENGTH - 1 for c in range(CHAINS)), name
        marks = read_marks(path)
        assert set(marks) == set(range(CHAINS * LENGTH)), f"{name}: every step ran"
        for index, mark in marks.items():
            assert len(mark["end"]) == 1 and len(mark["start"]) == 1, f"{name}: step {index} ran more than once: {mark}"
