"""Workflows (A-20…A-23)."""

import pytest
from flyteidl.admin import common_pb2, workflow_pb2
from flyteidl.core import condition_pb2, literals_pb2
from flyteidl.core import workflow_pb2 as core_workflow
from registry import BOOLEAN, INTEGER, STRING, WORKFLOW, bound, promise, task_node, task_template, workflow_template
from transports import Refusal

FailureReason = workflow_pb2.CreateWorkflowFailureReason


@pytest.fixture(scope="module")
def double(registry):
    """A task `(x: int) -> y: int`."""
    return registry.task("e2e.double", template=task_template("true", {"x": INTEGER}, {"y": INTEGER}))


def chain(task, length: int = 1):
    nodes = [
        task_node(task, f"n{i}", [promise("x", "", "x") if i == 0 else promise("x", f"n{i - 1}", "y")]) for i in range(length)
    ]
    return workflow_template(nodes, {"x": INTEGER}, {"y": INTEGER}, [promise("y", f"n{length - 1}", "y")])


def get(workflow):
    return common_pb2.ObjectGetRequest(id=workflow)


def test_A_22_get_gives_the_compiled_closure(api, registry, double, name):
    workflow = registry.workflow(name, chain(double, 3))
    found = api.read("GetWorkflow", get(workflow))
    compiled = found.closure.compiled_workflow
    assert found.id == workflow and found.closure.created_at.seconds > 0
    assert [task.template.id for task in compiled.tasks] == [double]
    ids = {node.id for node in compiled.primary.template.nodes}
    assert ids == {"start-node", "end-node", "n0", "n1", "n2"}
    assert list(compiled.primary.connections.downstream["n0"].ids) == ["n1"]
    assert list(compiled.primary.connections.upstream["n2"].ids) == ["n1"]


def test_K_6_unknown_workflow(api, registry, name):
    api.refused("GetWorkflow", get(registry.id(WORKFLOW, name)), "NOT_FOUND", name)


def test_K_8_unregistered_task(api, registry, name):
    missing = registry.id(1, "e2e.missing")
    request = registry.workflow_request(name, chain(missing))
    api.refused("CreateWorkflow", request, "INVALID_ARGUMENT", "e2e.missing")


def test_K_8_unregistered_launch_plan(api, registry, name):
    node = core_workflow.Node(id="n0", workflow_node=core_workflow.WorkflowNode(launchplan_ref=registry.id(3, "e2e.gone")))
    api.refused("CreateWorkflow", registry.workflow_request(name, workflow_template([node])), "INVALID_ARGUMENT", "e2e.gone")


def test_K_8_cycle(api, registry, double, name):
    nodes = [task_node(double, "n0", [promise("x", "n1", "y")]), task_node(double, "n1", [promise("x", "n0", "y")])]
    refusal = api.refused("CreateWorkflow", registry.workflow_request(name, workflow_template(nodes)), "INVALID_ARGUMENT")
    assert "cycle" in refusal.message.lower()


@pytest.mark.parametrize(
    ("binding", "mentions"),
    [
        pytest.param(bound("x", "five"), ("x", "n0"), id="wrong_type"),
        pytest.param(promise("x", "n9", "y"), ("n9",), id="unknown_node"),
        pytest.param(promise("x", "", "nothing"), ("nothing",), id="unknown_input"),
    ],
)
def test_K_8_mismatching_binding(api, registry, double, name, binding, mentions):
    template = workflow_template([task_node(double, "n0", [binding])], {"x": INTEGER})
    api.refused("CreateWorkflow", registry.workflow_request(name, template), "INVALID_ARGUMENT", *mentions)


def test_K_8_missing_binding(api, registry, double, name):
    template = workflow_template([task_node(double, "n0")])
    api.refused("CreateWorkflow", registry.workflow_request(name, template), "INVALID_ARGUMENT", "n0", "x")


def test_K_8_binding_twice(api, registry, double, name):
    template = workflow_template([task_node(double, "n0", [bound("x", 1), bound("x", 2)])])
    api.refused("CreateWorkflow", registry.workflow_request(name, template), "INVALID_ARGUMENT", "n0", "x")


def test_K_8_two_nodes_of_one_id(api, registry, double, name):
    template = workflow_template([task_node(double, "n0", [bound("x", 1)]), task_node(double, "n0", [bound("x", 1)])])
    api.refused("CreateWorkflow", registry.workflow_request(name, template), "INVALID_ARGUMENT", "n0")


def test_K_8_workflow_output_of_another_type(api, registry, double, name):
    template = workflow_template([task_node(double, "n0", [bound("x", 1)])], {}, {"out": STRING}, [promise("out", "n0", "y")])
    api.refused("CreateWorkflow", registry.workflow_request(name, template), "INVALID_ARGUMENT", "out")


def branch(double, else_node: bool):
    condition = condition_pb2.ComparisonExpression(
        operator=condition_pb2.ComparisonExpression.GT,
        left_value=condition_pb2.Operand(var="x"),
        right_value=condition_pb2.Operand(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1))),
    )
    case = core_workflow.IfBlock(
        condition=condition_pb2.BooleanExpression(comparison=condition), then_node=task_node(double, "then", [promise("x", "", "x")])
    )
    block = core_workflow.IfElseBlock(case=case)
    if else_node:
        block.else_node.CopyFrom(task_node(double, "else", [promise("x", "", "x")]))
    node = core_workflow.Node(id="n0", branch_node=core_workflow.BranchNode(if_else=block), inputs=[promise("x", "", "x")])
    return workflow_template([node], {"x": INTEGER}, {"y": INTEGER}, [promise("y", "n0", "y")])


def test_K_8_branch_without_default(api, registry, double, name):
    api.refused("CreateWorkflow", registry.workflow_request(name, branch(double, False)), "INVALID_ARGUMENT", "n0")


def test_A_20_branch_with_default(api, registry, double, name):
    registry.workflow(name, branch(double, True))


def wide(double, nodes: int):
    return workflow_template([task_node(double, f"n{i}", [bound("x", i)]) for i in range(nodes)])


def test_S_19_workflow_of_10000_nodes(api, registry, double, name):
    workflow = registry.workflow(name, wide(double, 10_000))
    compiled = api.call("GetWorkflow", get(workflow)).closure.compiled_workflow
    assert len(compiled.primary.template.nodes) == 10_002


def test_K_8_one_node_more_than_the_limit(api, registry, double, name):
    request = registry.workflow_request(name, wide(double, 10_001))
    with pytest.raises(Refusal) as refused:
        api.call("CreateWorkflow", request)
    assert refused.value.code == "INVALID_ARGUMENT"
    assert all(one in refused.value.message for one in ("spec.template.nodes", "10001", "10000")), refused.value


def test_K_9_same_again(api, registry, double, name):
    request = registry.workflow_request(name, chain(double))
    api.call("CreateWorkflow", request)
    refusal = api.refused("CreateWorkflow", request, "ALREADY_EXISTS", name)
    assert refusal.detail(FailureReason).exists_identical_structure.id == request.id


def test_K_9_changed_under_one_version(api, registry, double, name):
    request = registry.workflow_request(name, chain(double))
    api.call("CreateWorkflow", request)
    changed = registry.workflow_request(name, chain(double, 2))
    refusal = api.refused("CreateWorkflow", changed, "INVALID_ARGUMENT", name, "n1")
    assert refusal.detail(FailureReason).exists_different_structure.id == request.id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(lambda r: r.ClearField("id"), "id", id="no_id"),
        pytest.param(lambda r: r.id.ClearField("name"), "id.name", id="no_name"),
        pytest.param(lambda r: r.id.ClearField("version"), "id.version", id="no_version"),
        pytest.param(lambda r: setattr(r.id, "resource_type", 1), "id.resource_type", id="type_of_a_task"),
        pytest.param(lambda r: setattr(r.id, "name", "n" * 256), "id.name", id="name_of_256"),
        pytest.param(lambda r: r.ClearField("spec"), "spec.template", id="no_spec"),
        pytest.param(lambda r: r.spec.ClearField("template"), "spec.template", id="no_template"),
        pytest.param(lambda r: r.spec.template.ClearField("nodes"), "nodes", id="no_nodes"),
        pytest.param(lambda r: setattr(r.spec.template.nodes[0], "id", ""), "id", id="node_without_id"),
        pytest.param(lambda r: r.spec.template.nodes[0].ClearField("task_node"), "n0", id="node_without_target"),
        pytest.param(lambda r: setattr(r.spec.template.nodes[0], "id", "start-node"), "start-node", id="reserved_node_id"),
    ],
)
def test_A_20_refused(api, registry, double, name, change, field):
    request = registry.workflow_request(name, chain(double))
    change(request)
    api.refused("CreateWorkflow", request, "INVALID_ARGUMENT", field)


def test_A_20_sub_workflow_that_is_not_sent(api, registry, name):
    reference = core_workflow.WorkflowNode(sub_workflow_ref=registry.id(WORKFLOW, "e2e.sub"))
    node = core_workflow.Node(id="n0", workflow_node=reference)
    api.refused("CreateWorkflow", registry.workflow_request(name, workflow_template([node])), "INVALID_ARGUMENT", "e2e.sub")


def test_A_20_sub_workflow(api, registry, double, name):
    reference = registry.id(WORKFLOW, f"{name}.sub")
    node = core_workflow.Node(
        id="n0", workflow_node=core_workflow.WorkflowNode(sub_workflow_ref=reference), inputs=[promise("x", "", "x")]
    )
    template = workflow_template([node], {"x": INTEGER}, {"y": INTEGER}, [promise("y", "n0", "y")])
    request = registry.workflow_request(name, template)
    request.spec.sub_workflows.add().CopyFrom(chain(double))
    request.spec.sub_workflows[0].id.CopyFrom(reference)
    api.call("CreateWorkflow", request)
    compiled = api.read("GetWorkflow", get(request.id)).closure.compiled_workflow
    assert [one.template.id for one in compiled.sub_workflows] == [reference]


def test_A_23_lists_have_interface_and_description_but_no_closure(api, registry, double, name):
    request = registry.workflow_request(name, chain(double))
    request.spec.description.short_description = "short"
    api.call("CreateWorkflow", request)
    listed = api.read("ListWorkflows", common_pb2.ResourceListRequest(id=registry.named(name), limit=10))
    [one] = listed.workflows
    template = one.closure.compiled_workflow.primary.template
    assert one.id == request.id and one.short_description == "short"
    assert template.interface.inputs.variables["x"].type == INTEGER and not template.nodes


def test_A_20_wrong_condition_type(api, registry, double, name):
    template = branch(double, True)
    template.nodes[0].branch_node.if_else.case.condition.comparison.right_value.scalar.primitive.boolean = True
    with_boolean = registry.workflow_request(name, template)
    del with_boolean.spec.template.interface.inputs.variables["x"]
    with_boolean.spec.template.interface.inputs.variables["x"].type.CopyFrom(BOOLEAN)
    api.refused("CreateWorkflow", with_boolean, "INVALID_ARGUMENT", "x")
