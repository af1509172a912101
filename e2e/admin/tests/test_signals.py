"""Gates and their signals (A-110…A-112)."""

import time

import pytest
from flyteidl.admin import execution_pb2, signal_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.core import workflow_pb2 as core_workflow
from registry import BOOLEAN, INTEGER, STRING, primitive, workflow_template
from test_executions import run_name, wait

SUCCEEDED = core_execution.WorkflowExecution.SUCCEEDED


@pytest.fixture(scope="module")
def gates(registry):
    """Waits for an integer `number` and, after it, for nothing more."""
    signal = core_workflow.SignalCondition(signal_id="number", type=INTEGER, output_variable_name="o0")
    node = core_workflow.Node(id="n0", gate_node=core_workflow.GateNode(signal=signal))
    workflow = registry.workflow("e2e.gate", workflow_template([node]))
    return registry.launch_plan("e2e.gate", workflow)


def signal_id(run, name="number") -> identifier_pb2.SignalIdentifier:
    return identifier_pb2.SignalIdentifier(signal_id=name, execution_id=run)


def set_signal(run, value, name="number"):
    return signal_pb2.SignalSetRequest(id=signal_id(run, name), value=primitive(value))


def listed(api, run, **page):
    return api.read("ListSignals", signal_pb2.SignalListRequest(workflow_execution_id=run, **{"limit": 10, **page})).signals


@pytest.fixture
def waiting(api, registry, gates):
    """A run whose gate has been reached; terminated afterwards."""
    run = registry.execute(gates, run_name())
    deadline = time.monotonic() + 30
    request = signal_pb2.SignalListRequest(workflow_execution_id=run, limit=1)
    while not api.call("ListSignals", request).signals and time.monotonic() < deadline:
        time.sleep(0.05)
    yield run
    closure = api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=run)).closure
    if closure.phase != SUCCEEDED:
        api.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=run))


def test_A_112_list(api, waiting):
    [signal] = listed(api, waiting)
    assert signal.id == signal_id(waiting) and signal.type == INTEGER and not signal.HasField("value")
    assert listed(api, waiting, filters="eq(signal_id,number)") and not listed(api, waiting, filters="eq(signal_id,other)")


def test_K_26_before_the_gate(api, registry):
    run = registry.execute(registry.plan_of_one_task("e2e.nogate"), run_name())
    refusal = api.refused("SetSignal", set_signal(run, 1), "INVALID_ARGUMENT", "id.signal_id", "number")
    assert run.name in refusal.message


def test_K_26_wrong_type(api, waiting):
    api.refused("SetSignal", set_signal(waiting, "one"), "INVALID_ARGUMENT", "value")
    api.refused("SetSignal", set_signal(waiting, True), "INVALID_ARGUMENT", "value")


def test_K_26_right_ends_the_gate(api, waiting):
    api.rest("SetSignal", set_signal(waiting, 42))
    assert wait(api, waiting).closure.phase == SUCCEEDED
    [signal] = listed(api, waiting)
    assert signal.value == primitive(42)


def test_A_111_refused(api, waiting):
    request = signal_pb2.SignalSetRequest(id=signal_id(waiting))
    api.refused("SetSignal", request, "INVALID_ARGUMENT", "value")
    request.value.SetInParent()
    api.refused("SetSignal", request, "INVALID_ARGUMENT", "value")
    api.refused("SetSignal", signal_pb2.SignalSetRequest(value=primitive(1)), "INVALID_ARGUMENT", "id")
    api.refused("SetSignal", set_signal(waiting, 1, name=""), "INVALID_ARGUMENT", "id.signal_id")
    api.refused("SetSignal", set_signal(waiting, 1, name="s" * 256), "INVALID_ARGUMENT", "id.signal_id")


def test_K_6_unknown_run(api, registry):
    nobody = registry.execution_id("nobody")
    api.refused("SetSignal", set_signal(nobody, 1), "NOT_FOUND", "nobody")
    api.refused("ListSignals", signal_pb2.SignalListRequest(workflow_execution_id=nobody, limit=1), "NOT_FOUND", "nobody")
    create = signal_pb2.SignalGetOrCreateRequest(id=signal_id(nobody), type=BOOLEAN)
    api.refused("GetOrCreateSignal", create, "NOT_FOUND", "nobody")


def test_A_110_get_or_create(api, waiting):
    create = signal_pb2.SignalGetOrCreateRequest(id=signal_id(waiting, "mine"), type=STRING)
    assert not api.has_route("GetOrCreateSignal", create)
    first = api.call("GetOrCreateSignal", create)
    assert first.type == STRING and not first.HasField("value")
    api.call("SetSignal", set_signal(waiting, "a", "mine"))
    api.call("SetSignal", set_signal(waiting, "b", "mine"))
    assert api.call("GetOrCreateSignal", create).value == primitive("b")
    assert len(listed(api, waiting)) == 2


@pytest.mark.parametrize("name", ["", "s" * 256, "a\0b"])
def test_A_110_refused(api, waiting, name):
    create = signal_pb2.SignalGetOrCreateRequest(id=signal_id(waiting, name), type=STRING)
    api.refused("GetOrCreateSignal", create, "INVALID_ARGUMENT", "id.signal_id")


def test_A_110_without_type(api, waiting):
    create = signal_pb2.SignalGetOrCreateRequest(id=signal_id(waiting, "untyped"))
    api.refused("GetOrCreateSignal", create, "INVALID_ARGUMENT", "type")


def test_A_111_cast_to_the_type_of_the_signal(api, waiting):
    none = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    api.refused("SetSignal", signal_pb2.SignalSetRequest(id=signal_id(waiting), value=none), "INVALID_ARGUMENT", "value")


def test_A_111_after_the_end(api, waiting):
    api.call("SetSignal", set_signal(waiting, 1))
    wait(api, waiting)
    api.call("SetSignal", set_signal(waiting, 2))
    assert api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=waiting)).closure.phase == SUCCEEDED
