"""Where the time of a run went (A-55, S-32), on real runs."""

import time

import pytest
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import execution_pb2 as core
from flyteidl.core import identifier_pb2
from flyteidl.core import workflow_pb2 as core_workflow
from google.protobuf.duration_pb2 import Duration
from registry import task_node, task_template, workflow_template

OPERATIONS = {
    *("WORKFLOW_SETUP", "WORKFLOW_TEARDOWN", "NODE_SETUP", "NODE_TEARDOWN", "NODE_RESET", "NODE_TRANSITION", "NODE_IDLE"),
    *("TASK_SETUP", "TASK_RUNTIME", "TASK_TEARDOWN"),
}


def finished(api, id):
    """The run once it is over."""
    deadline = time.monotonic() + 90
    while True:
        execution = api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id))
        if execution.closure.phase in (core.WorkflowExecution.SUCCEEDED, core.WorkflowExecution.FAILED):
            return execution
        assert time.monotonic() < deadline, f"{id.name} is still {execution.closure.phase}"
        time.sleep(0.2)


def span_of(api, id, depth):
    return api.read("GetExecutionMetrics", execution_pb2.WorkflowExecutionGetMetricsRequest(id=id, depth=depth)).span


def ns(time) -> int:
    return time.ToNanoseconds()


def name_of(span) -> str:
    which = span.WhichOneof("id")
    return {
        "workflow_id": lambda: span.workflow_id.name,
        "node_id": lambda: span.node_id.node_id,
        "task_id": lambda: f"attempt {span.task_id.retry_attempt}",
        "operation_id": lambda: span.operation_id,
    }[which]()


def names(span) -> list[str]:
    return [name_of(part) for part in span.spans]


def child(span, name):
    return next(part for part in span.spans if name_of(part) == name)


def require_cover(span):
    """Its parts lie within it, leave no gap, and add up to it within 1 % where none run side by side."""
    if not span.spans:
        return
    start, end = ns(span.start_time), ns(span.end_time)
    reached, total, alone = start, 0, True
    for part in sorted(span.spans, key=lambda one: (ns(one.start_time), ns(one.end_time))):
        begin, finish = ns(part.start_time), ns(part.end_time)
        assert start <= begin <= reached and finish <= end, (name_of(span), name_of(part))
        alone = alone and begin == reached
        reached, total = max(reached, finish), total + finish - begin
        if part.WhichOneof("id") == "operation_id":
            assert part.operation_id in OPERATIONS
        require_cover(part)
    assert reached == end
    if alone:
        assert abs(total - (end - start)) <= (end - start) / 100


@pytest.fixture(scope="module")
def chain(api, registry):
    """A run of two tasks, one after the other."""
    task = registry.task("metrics.chain", template=task_template("sleep 0.3"))
    nodes = [task_node(task, "n0"), task_node(task, "n1", upstream_node_ids=["n0"])]
    workflow = registry.workflow("metrics.chain", workflow_template(nodes))
    plan = registry.launch_plan("metrics.chain", workflow)
    return finished(api, registry.execute(plan))


def test_A_55_S_32_a_real_run_adds_up(api, chain):
    span = span_of(api, chain.id, 10)
    require_cover(span)
    whole = ns(chain.closure.updated_at) - ns(chain.closure.created_at)
    assert abs((ns(span.end_time) - ns(span.start_time)) - whole) <= whole / 100
    runtimes = [part for node in ("n0", "n1") for part in child(child(span, node), "attempt 0").spans]
    runtime = sum(ns(part.end_time) - ns(part.start_time) for part in runtimes if name_of(part) == "TASK_RUNTIME")
    assert whole > runtime > 0.55e9, "each slept 0.3 s"
    assert names(span)[0] == "WORKFLOW_SETUP" and [name for name in names(span) if name.startswith("n")] == ["n0", "n1"]


def test_A_55_depth(api, chain):
    def height(span):
        return max((1 + height(part) for part in span.spans), default=0)

    assert [height(span_of(api, chain.id, depth)) for depth in (0, 1, 2, 3, 4, -1)] == [0, 1, 2, 3, 3, 3]


def test_A_55_follows_sub_workflow_and_child_launch_plan(api, registry, chain):
    plan = chain.spec.launch_plan
    workflow = chain.closure.workflow_id
    nodes = [
        core_workflow.Node(id="sub", workflow_node=core_workflow.WorkflowNode(sub_workflow_ref=workflow)),
        core_workflow.Node(id="kid", workflow_node=core_workflow.WorkflowNode(launchplan_ref=plan), upstream_node_ids=["sub"]),
    ]
    outer = registry.workflow_request("metrics.outer", workflow_template(nodes))
    inner = api.call("GetWorkflow", common_pb2.ObjectGetRequest(id=workflow)).closure.compiled_workflow.primary.template
    without_ends = [node for node in inner.nodes if node.id not in ("start-node", "end-node")]
    outer.spec.sub_workflows.append(core_workflow.WorkflowTemplate(id=workflow, interface=inner.interface, nodes=without_ends))
    api.call("CreateWorkflow", outer)
    run = finished(api, registry.execute(registry.launch_plan("metrics.outer", outer.id)))
    assert run.closure.phase == core.WorkflowExecution.SUCCEEDED, run.closure.error
    span = span_of(api, run.id, -1)
    require_cover(span)
    assert [node for node in names(child(span, "sub")) if "_" not in node] and "NODE_TRANSITION" in names(child(span, "sub"))
    kid = next(part for part in child(span, "kid").spans if part.WhichOneof("id") == "workflow_id")
    assert {"n0", "n1"} <= set(names(kid))


def test_A_55_a_gate_is_idle(api, registry):
    gate = core_workflow.GateNode(sleep=core_workflow.SleepCondition(duration=Duration(nanos=400_000_000)))
    workflow = registry.workflow("metrics.gate", workflow_template([core_workflow.Node(id="nap", gate_node=gate)]))
    run = finished(api, registry.execute(registry.launch_plan("metrics.gate", workflow)))
    span = span_of(api, run.id, 5)
    require_cover(span)
    idle = child(child(span, "nap"), "NODE_IDLE")
    assert ns(idle.end_time) - ns(idle.start_time) > 0.3e9


def test_A_55_unknown_run(api, registry):
    id = identifier_pb2.WorkflowExecutionIdentifier(project=registry.project, domain=registry.domain, name="nowhere")
    request = execution_pb2.WorkflowExecutionGetMetricsRequest(id=id, depth=1)
    api.refused("GetExecutionMetrics", request, "NOT_FOUND", "nowhere")
