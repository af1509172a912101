"""Issue rows S-10…S-14, S-24, C-10…C-17 through stock flytekit: what registers, runs and reads back."""

import datetime
import time

import pytest
from flytekit.models.core.execution import WorkflowExecutionPhase


def outputs(execution):
    assert execution.closure.phase == WorkflowExecutionPhase.SUCCEEDED, execution.error
    return execution.outputs


def test_hello(launch):
    assert outputs(launch("basics.hello", {"name": "Aloft"}))["o0"] == "Hello, Aloft!"


def test_hello_with_default_input(launch):
    assert outputs(launch("basics.hello", {}))["o0"] == "Hello, world!"


def test_pyflyte_run_remote_waits_for_the_result(pyflyte):
    done = pyflyte("run", "--remote", "--wait", "basics.py", "hello", "--name", "command line")
    assert "has succeeded" in done.stdout, done.stdout


def test_register_twice_is_harmless(pyflyte, registered):
    done = pyflyte("register", "-p", "flytesnacks", "-d", "development", "--version", registered, "--copy=all", ".")
    assert "already" in done.stdout.lower() or "Successfully" in done.stdout, done.stdout


def test_chain(launch):
    assert outputs(launch("basics.chain", {"a": 1}))["o0"] == 13


def test_subworkflow_two_levels_deep_shows_its_tree(launch, remote):
    execution = launch("basics.outer", {"a": 50})
    assert outputs(execution)["o0"] == 15
    synced = remote.sync(execution, sync_nodes=True)
    middle = synced.node_executions["n0"]
    assert middle.subworkflow_node_executions, "the sub-workflow's nodes are listed under its node (S-13)"
    inner = middle.subworkflow_node_executions["n0-0-n0"]
    assert set(inner.subworkflow_node_executions) >= {"n0-0-n0-0-n0", "n0-0-n0-0-n1"}


def test_attribute_path(launch):
    assert outputs(launch("basics.attribute_path", {"x": 3}))["o0"] == "3 second first,second 3.14 2"


def test_scalars_of_every_kind(launch):
    import typed_values as tv

    when = datetime.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=datetime.timezone.utc)
    span = datetime.timedelta(days=1, microseconds=5)
    given = dict(i=2**62, f=0.1, s="ü\n", b=False, when=when, span=span, color=tv.Color.GREEN)
    got = outputs(launch("typed_values.scalars_wf", given))
    assert [got[f"o{i}"] for i in range(6)] == [2**62, 0.1, "ü\n", False, when, span]
    assert got.get("o6", as_type=tv.Color) == tv.Color.GREEN


def test_dataclass_union_optional_list_map(launch):
    import typed_values as tv

    config = tv.Config(depth=3, rate=0.5, name="n", tags=["a", "b"])
    given = dict(config=config, choice="text", numbers=[1, 2], table={"k": 1.5})
    execution = launch(
        "typed_values.structured_wf", given, type_hints={"config": tv.Config, "choice": int | str, "numbers": list[int], "table": dict[str, float]}
    )
    got = outputs(execution)
    assert got.get("o0", as_type=tv.Config) == config
    assert got.get("o1", as_type=int | str) == "text"
    assert got.get("o2", as_type=int | None) is None
    assert got["o3"] == [1, 2] and got["o4"] == {"k": 1.5}


def test_files_and_directories(launch, remote):
    execution = launch("typed_values.files", {"text": "quiet", "names": ["b", "a"]})
    got = outputs(execution)
    assert got["o0"] == "QUIET" and got["o1"] == ["a", "b"]
    with remote.remote_context():
        with open(got["o2"].download()) as f:
            assert f.read() == "quiet"


def test_dataframe(launch):
    import pandas as pd

    got = outputs(launch("typed_values.frames", {"rows": 100}))
    assert got["o0"] == sum(i * i for i in range(100))
    assert len(got.get("o1", as_type=pd.DataFrame)) == 100


def test_pickle(launch):
    assert outputs(launch("typed_values.pickled", {"secret": 7}))["o0"] == 7


@pytest.mark.parametrize("n, expected", [(4, 8), (12, 144), (200, -200)])
def test_three_way_branch(launch, n, expected):
    assert outputs(launch("control.three_way", {"n": n}))["o0"] == expected


def test_branch_else_fail_carries_its_text(launch):
    execution = launch("control.refuses", {"n": 11})
    assert execution.closure.phase == WorkflowExecutionPhase.FAILED
    assert "n must be below ten" in execution.error.message


def test_map_with_concurrency_and_bound_input(launch):
    assert outputs(launch("control.mapped", {"values": [1, 2, 3, 4, 5]}))["o0"] == 45


def test_map_of_nothing(launch):
    """C-140, #2184: an empty list succeeds at once."""
    assert outputs(launch("control.mapped", {"values": []}))["o0"] == 0


def test_map_with_min_success_ratio(launch):
    assert outputs(launch("control.mapped_half", {"values": [1, 2, 3, 4]}))["o0"] == 2


def test_map_below_min_success_ratio_fails(launch):
    execution = launch("control.mapped_half", {"values": [1, 3, 5, 4]})
    assert execution.closure.phase == WorkflowExecutionPhase.FAILED


def test_dynamic_and_dynamic_in_dynamic(launch, remote):
    execution = launch("control.dynamics", {"n": 4})
    got = outputs(execution)
    assert got["o0"] == 12 and got["o1"] == 42
    synced = remote.sync(execution, sync_nodes=True)
    assert synced.node_executions["n0"].closure.phase is not None


def test_child_launch_plan(launch, remote):
    execution = launch("control.child", {"n": 20})
    assert outputs(execution)["o0"] == 800
    synced = remote.sync(execution, sync_nodes=True)
    assert synced.node_executions["n0"].workflow_executions, "the child execution is listed under its node"


def test_gates_approve_signal_sleep(launch, remote):
    execution = launch("control.gates", {"n": 5}, wait=False)

    def until(predicate, what):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = predicate()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited in vain for {what}")

    def signals():
        return {s.id.signal_id for s in remote.list_signals(execution.id.name)}

    until(lambda: "extra" in signals(), "the signal gate")
    remote.set_signal("extra", execution.id.name, 3, python_type=int)
    until(lambda: "approve-it" in signals(), "the approve gate")
    remote.approve("approve-it", execution.id.name)
    assert outputs(remote.wait(execution, timeout=60, poll_interval=0.2))["o0"] == 30


def test_rejected_approval_fails_the_run(launch, remote):
    execution = launch("control.gates", {"n": 5}, wait=False)
    deadline = time.monotonic() + 60
    while "approve-it" not in {s.id.signal_id for s in remote.list_signals(execution.id.name)}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    remote.reject("approve-it", execution.id.name)
    ended = remote.wait(execution, timeout=60, poll_interval=0.2)
    assert ended.closure.phase == WorkflowExecutionPhase.FAILED


def test_user_retries(launch, tmp_path):
    marks = tmp_path / "marks"
    assert outputs(launch("control.retried", {"marks": str(marks)}))["o0"] == 3
    assert marks.read_text() == "xxx"


def test_cache_hit_names_its_source(launch, remote, tmp_path):
    """S-30: the second run computes nothing."""
    marks = tmp_path / "marks"
    first = launch("control.cached", {"n": 1, "marks": str(marks)})
    second = launch("control.cached", {"n": 1, "marks": str(marks)})
    assert outputs(first)["o0"] == outputs(second)["o0"] == 2
    assert marks.read_text() == "x"
    node = remote.client.get_node_execution(remote.sync(second, sync_nodes=True).node_executions["n0"].id)
    assert node.closure.task_node_metadata.cache_status == 2  # CACHE_HIT
    again = launch("control.cached", {"n": 1, "marks": str(marks)}, overwrite_cache=True)
    assert outputs(again)["o0"] == 2 and marks.read_text() == "xx"


def test_failure_is_readable(launch):
    execution = launch("basics.failing", {"message": "as asked"})
    assert execution.closure.phase == WorkflowExecutionPhase.FAILED
    assert "no luck: as asked" in execution.error.message
    assert "Traceback" in execution.error.message or "basics.py" in execution.error.message


def test_failure_policies(launch, remote):
    """C-64: the slow node is aborted at once, or allowed to end."""
    late = remote.sync(launch("control.fail_late", {"n": 1}), sync_nodes=True)
    now = remote.sync(launch("control.fail_now", {"n": 1}), sync_nodes=True)
    assert late.closure.phase == now.closure.phase == WorkflowExecutionPhase.FAILED
    phases = lambda run: {k: v.closure.phase for k, v in run.node_executions.items() if k in ("n0", "n1")}
    from flytekit.models.core.execution import NodeExecutionPhase

    assert phases(late) == {"n0": NodeExecutionPhase.FAILED, "n1": NodeExecutionPhase.SUCCEEDED}
    assert phases(now) == {"n0": NodeExecutionPhase.FAILED, "n1": NodeExecutionPhase.ABORTED}


def test_terminate(launch, remote):
    execution = launch("control.long_run", {"seconds": 60}, wait=False)
    deadline = time.monotonic() + 30
    while remote.sync_execution(execution).closure.phase != WorkflowExecutionPhase.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    remote.terminate(execution, "not needed")
    ended = remote.wait(execution, timeout=30, poll_interval=0.2)
    assert ended.closure.phase == WorkflowExecutionPhase.ABORTED
    assert ended.closure.abort_metadata.cause == "not needed"


def test_relaunch_and_recover(launch, remote, tmp_path):
    first = launch("basics.hello", {"name": "again"})
    ident = first.id
    relaunched = remote.client.relaunch_execution(ident)
    again = remote.wait(remote.fetch_execution(name=relaunched.name), timeout=60, poll_interval=0.2)
    assert outputs(again)["o0"] == "Hello, again!"
    failed = launch("control.fail_late", {"n": 1})
    recovered = remote.client.recover_execution(failed.id)
    ended = remote.wait(remote.fetch_execution(name=recovered.name), timeout=60, poll_interval=0.2)
    synced = remote.sync(ended, sync_nodes=True)
    from flytekit.models.core.execution import NodeExecutionPhase

    assert synced.node_executions["n1"].closure.phase == NodeExecutionPhase.RECOVERED


def test_reference_task_runs_what_is_registered(remote, registered, version):
    """S-21: another module's published task, by reference."""
    from flytekit import reference_task, workflow
    from flytekit.configuration import ImageConfig, SerializationSettings

    @reference_task(project="flytesnacks", domain="development", name="scripts.basics.add", version=registered)
    def add(a: int, b: int) -> int: ...

    @workflow
    def uses_reference(a: int) -> int:
        return add(a=a, b=41)

    settings = SerializationSettings(
        image_config=ImageConfig.auto_default_image(), project="flytesnacks", domain="development", version=f"{version}-ref"
    )
    remote.register_workflow(uses_reference, serialization_settings=settings, version=f"{version}-ref")
    plan = remote.fetch_launch_plan(name=uses_reference.name, version=f"{version}-ref")
    execution = remote.wait(remote.execute(plan, inputs={"a": 1}), timeout=60, poll_interval=0.2)
    assert outputs(execution)["o0"] == 42


def test_single_task_launch(remote, registered):
    """A-42, K-19: a task alone."""
    add = remote.fetch_task(name="scripts.basics.add", version=registered)
    execution = remote.wait(remote.execute(add, inputs={"a": 20, "b": 22}), timeout=60, poll_interval=0.2)
    assert outputs(execution)["o0"] == 42


def test_deck_is_served(launch, remote):
    import urllib.request

    execution = launch("control.decked", {"title": "A deck"})
    outputs(execution)
    link = remote.client.get_download_artifact_signed_url(node_id="n0", project="flytesnacks", domain="development", name=execution.id.name)
    with urllib.request.urlopen(link.pre_signed_urls.signed_url[0]) as response:
        assert "A deck" in response.read().decode()
