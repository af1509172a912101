"""Node and task executions (A-70…A-74)."""

import pytest
from flyteidl.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2
from flyteidl.core import workflow_pb2 as core_workflow
from registry import INTEGER, TASK, WORKFLOW, literals, promise, task_node, task_template, workflow_template
from test_executions import run_name, wait

SUCCEEDED, FAILED = core_execution.NodeExecution.SUCCEEDED, core_execution.NodeExecution.FAILED


@pytest.fixture(scope="module")
def nested(api, registry):
    """A finished run: `n0` a task, `n1` a sub-workflow with a task `n0` in it."""
    task = registry.task("e2e.inner", template=task_template("true", {"x": INTEGER}))
    inner = workflow_template([task_node(task, "n0", [promise("x", "", "x")])], {"x": INTEGER})
    sub = registry.id(WORKFLOW, "e2e.sub")
    reference = core_workflow.WorkflowNode(sub_workflow_ref=sub)
    node = core_workflow.Node(id="n1", workflow_node=reference, inputs=[promise("x", "", "x")])
    template = workflow_template([task_node(task, "n0", [promise("x", "", "x")]), node], {"x": INTEGER})
    request = registry.workflow_request("e2e.nested", template)
    request.spec.sub_workflows.add().CopyFrom(inner)
    request.spec.sub_workflows[0].id.CopyFrom(sub)
    api.call("CreateWorkflow", request)
    run = registry.execute(registry.launch_plan("e2e.nested", request.id), run_name(), {"x": 7})
    wait(api, run)
    return run


def node_id(run, node="n0"):
    return identifier_pb2.NodeExecutionIdentifier(execution_id=run, node_id=node)


def task_id(registry, run, node="n0", attempt=0):
    return identifier_pb2.TaskExecutionIdentifier(
        task_id=registry.id(TASK, "e2e.inner"), node_execution_id=node_id(run, node), retry_attempt=attempt
    )


def nodes(api, run, **request):
    listed = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=run, **{"limit": 100, **request})
    return {one.id.node_id: one for one in api.read("ListNodeExecutions", listed).node_executions}


def test_A_70_top_level_and_children(api, nested):
    top = nodes(api, nested)
    assert {"start-node", "n0", "n1", "end-node"} >= set(top) >= {"n0", "n1"}
    assert top["n1"].metadata.is_parent_node and not top["n0"].metadata.is_parent_node
    children = nodes(api, nested, unique_parent_id="n1")
    assert "n1-0-n0" in children and children["n1-0-n0"].metadata.spec_node_id == "n0"
    assert not nodes(api, nested, unique_parent_id="nothing")
    assert set(nodes(api, nested, filters="eq(phase,SUCCEEDED)")) == set(top)


def test_A_71_no_children_of_tasks(api, registry, nested):
    request = node_execution_pb2.NodeExecutionForTaskListRequest(task_execution_id=task_id(registry, nested), limit=10)
    assert not api.read("ListNodeExecutionsForTask", request).node_executions


def test_A_72_get(api, nested):
    found = api.read("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest(id=node_id(nested)))
    assert found.id == node_id(nested) and found.closure.phase == SUCCEEDED
    assert found.metadata.spec_node_id == "n0"
    inner = api.read("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest(id=node_id(nested, "n1-0-n0")))
    assert inner.metadata.retry_group == "0"


def test_A_72_data(api, nested):
    data = api.call("GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest(id=node_id(nested)))
    assert data.full_inputs == literals(x=7)
    base = f"flyte://v1/{nested.project}/{nested.domain}/{nested.name}/n0"
    assert (data.flyte_urls.inputs, data.flyte_urls.outputs) == (f"{base}/i", f"{base}/o")


def test_A_73_not_dynamic(api, nested):
    request = node_execution_pb2.GetDynamicNodeWorkflowRequest(id=node_id(nested))
    api.refused("GetDynamicNodeWorkflow", request, "NOT_FOUND", "n0")


def test_A_74_tasks(api, registry, nested):
    listed = api.read(
        "ListTaskExecutions", task_execution_pb2.TaskExecutionListRequest(node_execution_id=node_id(nested), limit=10)
    ).task_executions
    assert [one.id for one in listed] == [task_id(registry, nested)]
    found = api.read("GetTaskExecution", task_execution_pb2.TaskExecutionGetRequest(id=task_id(registry, nested)))
    assert found.closure.phase == core_execution.TaskExecution.SUCCEEDED and found.closure.task_type == "raw-container"
    data = api.call("GetTaskExecutionData", task_execution_pb2.TaskExecutionGetDataRequest(id=task_id(registry, nested)))
    assert data.full_inputs == literals(x=7)
    assert data.flyte_urls.inputs.endswith(f"/{nested.name}/n0/0/i")


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest),
        ("GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest),
        ("GetDynamicNodeWorkflow", node_execution_pb2.GetDynamicNodeWorkflowRequest),
    ],
)
def test_K_6_unknown_node(api, registry, nested, rpc, request_):
    api.refused(rpc, request_(id=node_id(nested, "n9")), "NOT_FOUND", "n9")
    api.refused(rpc, request_(id=node_id(registry.execution_id("nobody"))), "NOT_FOUND", "nobody")
    api.refused(rpc, request_(id=node_id(nested, "")), "INVALID_ARGUMENT", "node_id")
    api.refused(rpc, request_(), "INVALID_ARGUMENT", "id")


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("GetTaskExecution", task_execution_pb2.TaskExecutionGetRequest),
        ("GetTaskExecutionData", task_execution_pb2.TaskExecutionGetDataRequest),
    ],
)
def test_K_6_unknown_task_execution(api, registry, nested, rpc, request_):
    api.refused(rpc, request_(id=task_id(registry, nested, attempt=3)), "NOT_FOUND", "3")
    api.refused(rpc, request_(id=task_id(registry, nested, node="n9")), "NOT_FOUND", "n9")
    api.refused(rpc, request_(id=task_id(registry, registry.execution_id("nobody"))), "NOT_FOUND", "nobody")
    api.refused(rpc, request_(), "INVALID_ARGUMENT", "id")
    huge = task_id(registry, nested, attempt=4_294_967_295)
    api.refused(rpc, request_(id=huge), "NOT_FOUND", "4294967295")


def test_K_6_lists_of_unknown_runs(api, registry):
    nobody = registry.execution_id("nobody")
    api.refused(
        "ListNodeExecutions", node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=nobody, limit=1), "NOT_FOUND", "nobody"
    )
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node_id(nobody), limit=1)
    api.refused("ListTaskExecutions", request, "NOT_FOUND", "nobody")
    request = node_execution_pb2.NodeExecutionForTaskListRequest(task_execution_id=task_id(registry, nobody), limit=1)
    api.refused("ListNodeExecutionsForTask", request, "NOT_FOUND", "nobody")
    for rpc, empty in [
        ("ListNodeExecutions", node_execution_pb2.NodeExecutionListRequest(limit=1)),
        ("ListTaskExecutions", task_execution_pb2.TaskExecutionListRequest(limit=1)),
        ("ListNodeExecutionsForTask", node_execution_pb2.NodeExecutionForTaskListRequest(limit=1)),
    ]:
        api.refused(rpc, empty, "INVALID_ARGUMENT", "id")


def test_A_47_a_failed_run_names_its_node(api, registry, name):
    run = registry.execute(registry.plan_of_one_task(name, script="echo boom >&2; exit 7"), run_name())
    closure = wait(api, run).closure
    assert closure.phase == core_execution.WorkflowExecution.FAILED and "boom" in closure.error.message
    node = nodes(api, run)["n0"]
    assert node.closure.phase == FAILED and node.closure.error.code
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node_id(run), limit=10, filters="eq(phase,FAILED)")
    [attempt] = api.read("ListTaskExecutions", request).task_executions
    assert attempt.closure.error.message and attempt.closure.logs is not None


def test_A_50_recovered_nodes_are_copied(api, nested):
    recover = execution_pb2.ExecutionRecoverRequest(id=nested, name=run_name())
    again = api.call("RecoverExecution", recover).id
    wait(api, again)
    phases = {one.closure.phase for name, one in nodes(api, again).items() if name in ("n0", "n1")}
    assert phases == {core_execution.NodeExecution.RECOVERED}
