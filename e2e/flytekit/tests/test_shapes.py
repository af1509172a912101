"""What registers, runs and reads back through stock flytekit, beside the checks of test_part_c.py (rows S-10…S-24)."""

import datetime
import time

from flytekit.models.core.execution import WorkflowExecutionPhase


def outputs(execution):
    assert execution.closure.phase == WorkflowExecutionPhase.SUCCEEDED, execution.error
    return execution.outputs


def test_pyflyte_run_remote_waits_for_the_result(pyflyte):
    done = pyflyte("run", "--remote", "--wait", "basics.py", "hello", "--name", "command line")
    assert "has succeeded" in done.stdout, done.stdout


def test_register_twice_is_harmless(pyflyte, registered):
    done = pyflyte("register", "-p", "flytesnacks", "-d", "development", "--version", registered, "--copy=all", ".")
    assert "already" in done.stdout.lower() or "Successfully" in done.stdout, done.stdout


def test_chain(launch):
    assert outputs(launch("basics.chain", {"a": 1}))["o0"] == 13


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


def test_branch_else_fail_carries_its_text(launch):
    execution = launch("control.refuses", {"n": 11})
    assert execution.closure.phase == WorkflowExecutionPhase.FAILED
    assert "n must be below ten" in execution.error.message


def test_map_with_concurrency_and_bound_input(launch):
    assert outputs(launch("control.mapped", {"values": [1, 2, 3, 4, 5]}))["o0"] == 45


def test_dynamic_and_its_result_used(launch):
    assert outputs(launch("control.dynamics", {"n": 4}))["o0"] == 24


def test_failure_is_readable(launch):
    execution = launch("basics.failing", {"message": "as asked"})
    assert execution.closure.phase == WorkflowExecutionPhase.FAILED
    assert "no luck: as asked" in execution.error.message
    assert "Traceback" in execution.error.message or "basics.py" in execution.error.message


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


def test_relaunch(launch, remote):
    first = launch("basics.hello", {"name": "again"})
    relaunched = remote.client.relaunch_execution(first.id)
    again = remote.wait(remote.fetch_execution(name=relaunched.name), timeout=60, poll_interval=0.2)
    assert outputs(again)["o0"] == "Hello, again!"


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
