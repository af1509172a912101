"""The checks of part C of the feature map through stock flytekit: one script each in scripts/part_c, one test each here.

A check is a generator: what it does before its `yield` are its launches, and those of all checks come first, so that the runs
share the time; what follows waits and asserts what the platform recorded.
"""

import collections
import hashlib
import urllib.request
from datetime import timedelta

import pytest
from conftest import SECRETS
from flytekit.exceptions.user import FlyteInvalidInputException
from observed import Run, until

CHECKS = {}


def check(name: str):
    def add(steps):
        CHECKS[name] = steps
        return steps

    return add


class World:
    """What a check works with."""

    def __init__(self, remote, version, folder, logs):
        self.remote, self.version, self.folder = remote, version, folder
        self.logs = logs  # of the platform's processes

    def run(self, workflow: str, inputs: dict, **options) -> Run:
        """Launches `<script>.<workflow>`."""
        plan = self.remote.fetch_launch_plan(name=f"scripts.part_c.{workflow}", version=self.version)
        return Run(self.remote, self.remote.execute(plan, inputs=inputs, wait=False, **options).id.name)

    def path(self, name: str) -> str:
        """Of a file outside the platform where tasks leave marks."""
        return str(self.folder / name)

    def marks(self, name: str) -> str:
        found = self.folder / name
        return found.read_text() if found.exists() else ""


@pytest.fixture(scope="module")
def begun(request, remote, registered, platform, tmp_path_factory):
    """The selected checks, all of them launched; a launch that fails is its own test's to tell."""
    world = World(remote, registered, tmp_path_factory.mktemp("part-c"), platform.logs())
    names = [item.callspec.params["name"] for item in request.session.items if item.originalname == "test_part_c"]
    checks = {name: (CHECKS[name](world), []) for name in names}
    for steps, failures in checks.values():
        try:
            next(steps)
        except Exception as error:
            failures.append(error)
    return checks


@pytest.mark.parametrize("name", CHECKS)
def test_part_c(begun, name):
    steps, failures = begun[name]
    if failures:
        raise failures[0]
    collections.deque(steps, maxlen=0)


@check("hello")
def hello(world):
    greeted, default = world.run("hello.wf", {"name": "Aloft"}), world.run("hello.wf", {})
    yield
    assert greeted.outputs["o0"] == "Hello, Aloft!" and default.outputs["o0"] == "Hello, world!"
    nodes = greeted.nodes()
    assert {name: node.phase for name, node in nodes.items()} == dict.fromkeys(("start-node", "n0", "end-node"), "SUCCEEDED")
    assert [attempt.phase for attempt in nodes["n0"].attempts] == ["SUCCEEDED"]


@check("subwf")
def subwf(world):
    run = world.run("subwf.wf", {"a": 50})
    yield
    assert run.outputs["o0"] == 15
    assert run.nodes()["n0"].message.metadata.is_parent_node
    assert {"n0-0-n0", "n0-0-n1"} <= run.nodes("n0").keys()
    assert {"n0-0-n0-0-n0", "n0-0-n0-0-n1"} <= run.nodes("n0-0-n0").keys()


@check("child-lp")
def child_lp(world):
    run, fails = world.run("child_lp.wf", {"n": 20}), world.run("child_lp.wf", {"n": 3})
    yield
    assert run.outputs["o0"] == 20
    node = run.nodes()["n0"]
    child = Run(world.remote, node.child.name)
    metadata = child.execution.spec.metadata
    assert child.phase == "SUCCEEDED" and metadata.parent_node_execution == node.message.id
    assert metadata.mode == metadata.CHILD_WORKFLOW
    assert fails.ended() == "FAILED" and fails.kind == "USER" and "3 is odd" in fails.error.message
    assert fails.nodes()["n0"].child.name in fails.error.message


@check("branch-3way")
def branch_3way(world):
    runs = {n: world.run("branch_3way.wf", {"n": n}) for n in (4, 12, 200)}
    yield
    assert {n: run.outputs["o0"] for n, run in runs.items()} == {4: 8, 12: 144, 200: -200}
    for place, run in enumerate(runs.values()):
        phases = [node.phase for name, node in sorted(run.nodes("n0").items()) if "-node" not in name]
        assert phases == ["SUCCEEDED" if case == place else "SKIPPED" for case in range(3)]


@check("approve")
def approve(world):
    passes, rejected = world.run("approve.wf", {"n": 5}), world.run("approve.wf", {"n": 5})
    yield
    for run in (passes, rejected):
        until(lambda: "let-it-pass" in run.signals(), "the gate")
        assert run.phase == "RUNNING" and "n2" not in run.nodes()
    world.remote.approve("let-it-pass", passes.name)
    world.remote.reject("let-it-pass", rejected.name)
    assert passes.outputs["o0"] == 20
    assert rejected.ended() == "FAILED"
    assert (rejected.error.code, rejected.kind) == ("ReceivedRejectSignal", "USER")


@check("signal")
def signal(world):
    run = world.run("signal.wf", {"n": 5})
    yield
    until(lambda: "factor" in run.signals(), "the gate")
    with pytest.raises(FlyteInvalidInputException):
        world.remote.set_signal("factor", run.name, "text", python_type=str)
    world.remote.set_signal("factor", run.name, 3, python_type=int)
    assert run.outputs["o0"] == 15
    nodes = run.nodes()
    assert nodes["n1"].queued - nodes["n0"].ended < timedelta(seconds=1)  # C-133


@check("sleep")
def sleep(world):
    run = world.run("sleep.wf", {"n": 5})
    yield
    assert run.outputs["o0"] == 10
    nap, after = run.nodes()["n0"], run.nodes()["n1"]
    assert 2 <= nap.seconds < 30 and after.started >= nap.started + timedelta(seconds=2)


@check("map-min-ratio")
def map_min_ratio(world):
    half, too_few = world.run("map_min_ratio.wf", {"values": [1, 2, 3, 4]}), world.run("map_min_ratio.wf", {"values": [1, 3, 5, 4]})
    none = world.run("map_min_ratio.wf", {"values": []})
    yield
    assert half.outputs["o0"] == [None, 2, None, 4] and none.outputs["o0"] == []
    assert half.nodes()["n0"].attempts[0].items == ["FAILED", "SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert too_few.ended() == "FAILED" and "is odd" in too_few.error.message


@check("dynamic-recursive")
def dynamic_recursive(world):
    run = world.run("dynamic_recursive.wf", {"n": 3})
    yield
    assert run.outputs["o0"] == 6
    assert run.nodes()["n0"].message.metadata.is_dynamic
    level, depth = "n0", 0
    while generated := {node.spec: node for node in run.nodes(level).values() if "-node" not in node.spec}:
        assert {node.phase for node in generated.values()} == {"SUCCEEDED"}
        assert generated.keys() == ({"dn0", "dn1"} if depth < 3 else {"dn0"})
        level, depth = generated["dn0"].id, depth + 1
    assert depth == 4


@check("failure-node")
def failure_node(world):
    run = world.run("failure_node.wf", {"path": world.path("failure-node")})
    yield
    assert run.ended() == "FAILED" and "no luck with" in run.error.message and run.kind == "USER"
    failed, _, message = world.marks("failure-node").partition("\n")
    assert failed == "n1" and "no luck with" in message  # C-64: the node that failed
    assert run.nodes()["fn0"].phase == "SUCCEEDED"


@check("fail-after-complete")
def fail_after_complete(world):
    goes_on, at_once = world.run("fail_after_complete.wf", {"n": 5}), world.run("fail_after_complete.at_once", {"n": 5})
    yield
    assert goes_on.ended() == at_once.ended() == "FAILED"
    phases = lambda run: {name: node.phase for name, node in run.nodes().items() if name.startswith("n")}
    assert phases(at_once) == {"n0": "FAILED", "n1": "ABORTED"}
    assert phases(goes_on) == {"n0": "FAILED", "n1": "SUCCEEDED", "n2": "SUCCEEDED", "n3": "FAILED", "n4": "SKIPPED"}
    assert "boom 1" in goes_on.error.message and "boom 2" in goes_on.error.message  # C-61, ours: all errors


@check("retry-user")
def retry_user(world):
    passes, exhausted = world.run("retry_user.wf", {"failures": 2}), world.run("retry_user.wf", {"failures": 9})
    yield
    assert passes.outputs["o0"] == 2
    assert [attempt.phase for attempt in passes.nodes()["n0"].attempts] == ["FAILED", "FAILED", "SUCCEEDED"]
    assert exhausted.ended() == "FAILED" and exhausted.kind == "USER"
    assert exhausted.error.code.startswith("RetriesExhausted|") and "attempt 3 of 3" in exhausted.error.message
    attempts = exhausted.nodes()["n0"].attempts
    assert [(attempt.number, attempt.phase, attempt.kind) for attempt in attempts] == [(n, "FAILED", "USER") for n in range(3)]


@check("retry-system")
def retry_system(world):
    run = world.run("retry_system.wf", {"times": 2})
    yield
    assert run.outputs["o0"] == 2
    attempts = run.nodes()["n0"].attempts
    assert [attempt.phase for attempt in attempts] == ["FAILED", "FAILED", "SUCCEEDED"]
    assert {(attempt.code, attempt.kind) for attempt in attempts[:2]} == {("Interrupted", "SYSTEM")}


@check("timeout-exec")
def timeout_exec(world):
    passes, exhausted = world.run("timeout_exec.wf", {"patient_from": 1}), world.run("timeout_exec.wf", {"patient_from": 9})
    yield
    assert passes.outputs["o0"] == 1
    assert exhausted.ended() == "FAILED" and exhausted.error.code == "RetriesExhausted|TimeoutExpired" and exhausted.kind == "USER"
    attempts = exhausted.nodes()["n0"].attempts
    assert [(attempt.phase, attempt.code) for attempt in attempts] == [("FAILED", "TimeoutExpired")] * 2
    assert all(9.9 <= attempt.seconds < 60 for attempt in attempts)


@check("timeout-active")
def timeout_active(world):
    run = world.run("timeout_active.wf", {"n": 1})
    yield
    assert run.ended() == "FAILED"
    node = run.nodes()["n0"]
    assert node.phase == "TIMED_OUT" and len(node.attempts) == 1
    assert timedelta(seconds=3) <= node.ended - node.queued < timedelta(seconds=60)


@check("cache-hit")
def cache_hit(world):
    inputs = {"n": 1, "marks": world.path("cache-hit")}
    first = world.run("cache_hit.wf", inputs)
    yield
    assert first.outputs["o0"] == 2
    second = world.run("cache_hit.wf", inputs)
    assert second.outputs["o0"] == 2 and world.marks("cache-hit") == "x"
    assert first.nodes()["n0"].cache == "CACHE_POPULATED"
    hit = second.nodes()["n0"]
    assert hit.cache == "CACHE_HIT" and hit.cache_source.execution_id.name == first.name
    again = world.run("cache_hit.wf", inputs, overwrite_cache=True)
    assert again.outputs["o0"] == 2 and world.marks("cache-hit") == "xx"


@check("cache-serialize")
def cache_serialize(world):
    inputs = {"n": 1, "marks": world.path("cache-serialize")}
    runs = [world.run("cache_serialize.wf", inputs) for _ in range(3)]
    yield
    assert [run.outputs["o0"] for run in runs] == [2, 2, 2]
    assert world.marks("cache-serialize") == "x"
    nodes = {run.name: run.nodes()["n0"] for run in runs}
    assert sorted(node.cache for node in nodes.values()) == ["CACHE_HIT", "CACHE_HIT", "CACHE_POPULATED"]
    owner = next(name for name, node in nodes.items() if node.cache == "CACHE_POPULATED")
    assert {node.cache_source.execution_id.name for node in nodes.values() if node.cache == "CACHE_HIT"} == {owner}


@check("cache-ignore-vars")
def cache_ignore_vars(world):
    inputs = {"n": 1, "marks": world.path("cache-ignore")}
    first = world.run("cache_ignore_vars.wf", {**inputs, "verbosity": 1})
    yield
    assert first.outputs["o0"] == 2
    louder, other = (world.run("cache_ignore_vars.wf", {**inputs, **given}) for given in ({"verbosity": 2}, {"verbosity": 1, "n": 2}))
    assert louder.outputs["o0"] == 2 and other.outputs["o0"] == 3
    assert louder.nodes()["n0"].cache == "CACHE_HIT" and other.nodes()["n0"].cache == "CACHE_POPULATED"
    assert world.marks("cache-ignore") == "xx"


def array_of(run: Run) -> list[str]:
    """Phases of the items of its map, once that has begun."""
    return [phase for attempt in run.nodes()["n1"].attempts for phase in attempt.items] if "n1" in run.nodes() else []


@check("recover")
def recover(world):
    folder = world.folder / "recover"
    folder.mkdir()
    folder.chmod(0o777)
    failed = world.run("recover.wf", {"count": 12, "marks": str(folder)})
    yield
    until(lambda: array_of(failed).count("SUCCEEDED") == 9, "the other nine items")
    (folder / "fail").touch()
    assert failed.ended() == "FAILED"
    (folder / "mended").touch()
    run = Run(world.remote, world.remote.client.recover_execution(failed.remote.fetch_execution(name=failed.name).id).name)
    assert run.outputs["o0"] == [n * 10 for n in range(12)] and run.outputs["o1"] == 660
    assert run.nodes()["n0"].phase == "RECOVERED"
    again = {mark.name for mark in folder.iterdir() if len(mark.read_text()) > 1}
    assert again == {"item-3", "item-7", "item-11"}  # C-84


@check("checkpoint")
def checkpoint(world):
    run, after_timeout = world.run("checkpoint.wf", {"goal": 2}), world.run("checkpoint.after_timeout", {"text": "so far"})
    yield
    assert run.outputs["o0"] == 2 and after_timeout.outputs["o0"] == "so far"
    assert [attempt.phase for attempt in run.nodes()["n0"].attempts] == ["FAILED", "FAILED", "SUCCEEDED"]


@check("deck")
def deck(world):
    run = world.run("deck.wf", {"title": "A deck"})
    yield
    assert run.outputs["o0"] == "A deck"
    assert run.nodes()["n0"].message.closure.deck_uri
    link = world.remote.client.get_download_artifact_signed_url(
        node_id="n0", project=run.id.project, domain=run.id.domain, name=run.name
    )
    with urllib.request.urlopen(link.pre_signed_urls.signed_url[0]) as response:
        assert "<h1>A deck</h1>" in response.read().decode()


@check("attr-path")
def attr_path(world):
    run, out_of_range = world.run("attr_path.wf", {"x": 3}), world.run("attr_path.out_of_range", {"x": 3})
    yield
    assert run.outputs["o0"] == "3 second first,second 3.14 0.25 2"
    assert out_of_range.ended() == "FAILED" and out_of_range.kind == "USER"
    assert "labels" in out_of_range.error.message and "5" in out_of_range.error.message


@check("union-promote")
def union_promote(world):
    some, none = world.run("union_promote.wf", {"n": 7}), world.run("union_promote.wf", {"n": -7})
    yield
    assert [some.outputs[f"o{i}"] for i in range(4)] == ["int 7", "int 7 [7, 'x']", "int 7 []", "None"]
    assert [none.outputs[f"o{i}"] for i in range(4)] == ["int -7", "NoneType None [-7, 'x']", "int -7 []", "None"]


@check("container-task")
def container_task(world):
    run, bad = world.run("container_task.wf", {"a": 6, "b": 7, "note": "of a field"}), world.run("container_task.bad_output", {"a": 6})
    yield
    assert run.outputs["o0"] == 42
    note, _, inputs = run.outputs["o1"].partition("\n")
    assert note == "of a field" and '"a"' in inputs
    assert bad.ended() == "FAILED" and bad.kind == "USER" and "area" in bad.error.message


@check("shell-task")
def shell_task(world):
    run = world.run("shell_task.wf", {"text": "be quiet"})
    yield
    assert run.outputs["o0"] == "BE QUIET!"


@check("secrets")
def secrets(world):
    run = world.run("secrets.wf", {})
    yield
    both = SECRETS["ALOFT_SECRET_TEAM_TOKEN"] + SECRETS["ALOFT_SECRET_TEAM_CERTIFICATE"]
    assert run.outputs["o0"] == hashlib.sha256(both.encode()).hexdigest()
    assert run.outputs["o1"] is False
    assert not [log for log in world.logs for value in SECRETS.values() if value in log.read_text(errors="replace")]
