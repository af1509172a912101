"""kill -9 of the whole platform at 20 random moments of a run of 200 tasks (X-3, U-4)."""

import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import pytest
from flytekit.configuration import Config, PlatformConfig
from flytekit.models.core.execution import NodeExecutionPhase, WorkflowExecutionPhase
from flytekit.remote import FlyteRemote

from conftest import SCRIPTS, Platform

CHAINS, LENGTH = 10, 20
TERMINAL = {
    WorkflowExecutionPhase.SUCCEEDED, WorkflowExecutionPhase.FAILED, WorkflowExecutionPhase.ABORTED, WorkflowExecutionPhase.TIMED_OUT,
}
KILLS = int(os.environ.get("ALOFT_KILLS", "20"))


def read_marks(path: pathlib.Path):
    marks = collections.defaultdict(lambda: {"start": [], "end": []})
    for line in path.read_text().splitlines() if path.exists() else []:
        what, index, at, attempt, pid = line.split()
        marks[int(index)][what].append((float(at), int(attempt), int(pid)))
    return marks


@pytest.mark.timeout(900)
def test_kill_the_platform_at_random_moments():
    seed = int(os.environ.get("ALOFT_SEED", random.SystemRandom().randrange(2**32)))
    print(f"seed {seed} (repeat with ALOFT_SEED={seed})")
    rng = random.Random(seed)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="aloft-kill-"))
    os.chmod(directory, 0o777)
    platform = Platform(directory).start()
    marks_path = directory / "marks"
    try:
        config = directory / "data" / "flytekit.yaml"
        pyflyte = pathlib.Path(sys.executable).parent / "pyflyte"
        subprocess.run(
            [pyflyte, "--config", config, "register", "-p", "flytesnacks", "-d", "development", "--version", "kill", "--copy=all", "marks.py"],
            cwd=SCRIPTS, check=True, capture_output=True,
        )
        remote = FlyteRemote(
            Config(platform=PlatformConfig(endpoint=platform.grpc, insecure=True)), "flytesnacks", "development", interactive_mode_enabled=False
        )
        plan = remote.fetch_launch_plan(name="marks.many_steps", version="kill")
        execution = remote.execute(plan, inputs={"chains": CHAINS, "length": LENGTH, "path": str(marks_path), "seconds": 0.25})

        kills, durable, recovery = [], {}, []
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.05, 2.0))
            known_before = succeeded_steps(platform, execution)
            kills.append(time.time())
            platform.kill()
            for node in known_before:
                durable.setdefault(node, kills[-1])
            started = time.monotonic()
            platform.start()
            recovery.append(time.monotonic() - started)
            if ended(platform, execution):
                break
        print(f"{len(kills)} kills, ready again after {sorted(recovery)[len(recovery) // 2]:.1f} s (median), {max(recovery):.1f} s (worst)")
        deadline = time.monotonic() + 180
        while not ended(platform, execution):
            assert time.monotonic() < deadline, f"the run is stuck (seed {seed})"
            time.sleep(0.2)
        final = connect(platform).client.get_execution(execution.id)
        assert final.closure.phase == WorkflowExecutionPhase.SUCCEEDED, (seed, final.closure.error)
        fetched = connect(platform).fetch_execution(name=execution.id.name)
        outputs = connect(platform).sync(fetched).outputs
        assert outputs["o0"] == sum(c * LENGTH + LENGTH - 1 for c in range(CHAINS))

        marks = read_marks(marks_path)
        assert set(marks) == set(range(CHAINS * LENGTH)), f"every step ran (seed {seed})"
        extra = 0
        for index, mark in sorted(marks.items()):
            starts = sorted(mark["start"])
            # Its launch can't be older than the end of the step before it.
            since = min(at for at, *_ in marks[index - 1]["end"]) if index % LENGTH else 0.0
            in_flight = [k for k in kills if since <= k <= starts[-1][0]]
            assert len(starts) - 1 <= len(in_flight), (
                f"step {index} started {len(starts)} times, with {len(in_flight)} kills while it was in flight (seed {seed}): {starts}, {kills}"
            )
            if len(starts) > 1:
                extra += len(starts) - 1
                print(f"step {index}: starts (time, attempt, pid) {starts}, ends {mark['end']}, kills {in_flight}")
        print(f"{extra} extra starts of attempts in flight at a kill; {len(durable)} outcomes were known durable before a kill")
        assert started_after_durable(marks, durable) == [], f"seed {seed}"
    finally:
        platform.stop()
        if not os.environ.get("ALOFT_E2E_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


def connect(platform: Platform) -> FlyteRemote:
    return FlyteRemote(
        Config(platform=PlatformConfig(endpoint=platform.grpc, insecure=True)), "flytesnacks", "development", interactive_mode_enabled=False
    )


def ended(platform: Platform, execution) -> bool:
    return connect(platform).client.get_execution(execution.id).closure.phase in TERMINAL


def succeeded_steps(platform: Platform, execution) -> list:
    """Indexes of the steps whose success the platform has already told: dn<i> of the dynamic node, in order of creation."""
    client = connect(platform).client
    nodes, token = client.list_node_executions(execution.id, limit=300, unique_parent_id="n0")
    while token:
        more, token = client.list_node_executions(execution.id, limit=300, token=token, unique_parent_id="n0")
        nodes += more
    done = []
    for node in nodes:
        name = node.id.node_id.rpartition("-dn")[2]
        if name.isdigit() and int(name) < CHAINS * LENGTH and node.closure.phase == NodeExecutionPhase.SUCCEEDED:
            done.append(int(name))
    return done


def started_after_durable(marks, durable) -> list:
    return [(i, at) for i, at in durable.items() if any(s > at for s, *_ in marks[i]["start"])]
