"""A version from one domain to the next (S-20), by the command line."""

import json
import pathlib
import subprocess

import pytest
from flyteidl.admin import common_pb2, description_entity_pb2, execution_pb2, launch_plan_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import workflow_pb2 as core_workflow

from registry import DOMAIN, INTEGER, LAUNCH_PLAN, TASK, WORKFLOW, Registry, primitive, promise, task_node, task_template, workflow_template
from test_executions import wait

CLI = pathlib.Path(__file__).resolve().parents[3] / "apps" / "cli" / "dist" / "main.js"
TO = "production"


@pytest.fixture
def promote(platform, project):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = ["node", str(CLI), "launchplan", "promote", *arguments, "--endpoint", platform.grpc, "--project", project, "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


def done(answer: subprocess.CompletedProcess) -> list[tuple[str, str, bool]]:
    assert answer.returncode == 0, answer.stderr
    return [(one["kind"], one["id"]["name"], one["existed"]) for one in json.loads(answer.stdout)]


def of_a_child(registry: Registry, name: str):
    """A task, and a plan of another workflow that has one."""
    child = registry.plan_of_one_task(f"{name}.child", inputs={"x": INTEGER})
    task = registry.task_request(name, template=task_template(inputs={"x": INTEGER}))
    task.spec.description.CopyFrom(description_entity_pb2.DescriptionEntity(short_description="adds nothing"))
    registry.api.call("CreateTask", task)
    start = core_workflow.Node(id="n1", workflow_node=core_workflow.WorkflowNode(launchplan_ref=child), inputs=[promise("x", "", "x")])
    nodes = [task_node(task.id, inputs=[promise("x", "", "x")]), start]
    workflow = registry.workflow(name, workflow_template(nodes, inputs={"x": INTEGER}))
    return registry.launch_plan(name, workflow, fixed_inputs={"literals": {"x": primitive(3)}}, max_parallelism=7)


def test_S_20_a_version_is_promoted_with_all_that_it_uses(api, registry, promote, name):
    plan = of_a_child(registry, name)
    answer = promote(name, "v1", "--to", TO)
    assert sorted(done(answer)) == sorted(
        (kind, one, False) for kind in ("task", "workflow", "launch plan") for one in (name, f"{name}.child")
    )
    production = Registry(api, registry.project, TO)
    get = lambda where: api.call("GetLaunchPlan", common_pb2.ObjectGetRequest(id=where.id(LAUNCH_PLAN, name)))
    there = get(production)
    assert (there.closure.state, there.spec.max_parallelism) == (launch_plan_pb2.INACTIVE, 7)
    here = get(registry).spec
    here.workflow_id.domain = TO
    assert there.spec == here
    read = lambda rpc, where, kind: api.call(rpc, common_pb2.ObjectGetRequest(id=where.id(kind, name)))
    task = read("GetTask", production, TASK)
    assert task.short_description == "adds nothing"
    assert task.closure.compiled_task.template.container == read("GetTask", registry, TASK).closure.compiled_task.template.container
    closures = [read("GetWorkflow", where, WORKFLOW).closure.compiled_workflow for where in (registry, production)]
    assert closures[0].primary.connections == closures[1].primary.connections
    run = production.execute(there.id)
    assert wait(api, run).closure.phase == core_execution.WorkflowExecution.SUCCEEDED
    started = api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=run))
    assert (started.id.domain, started.spec.launch_plan.domain) == (TO, TO)
    assert plan.domain == DOMAIN


def test_S_20_again_changes_nothing_and_activates_if_asked(api, registry, promote, name):
    of_a_child(registry, name)
    refused = promote(name, "--to", TO)
    assert refused.returncode == 3 and "NOT_FOUND" in refused.stderr
    api.call("UpdateLaunchPlan", launch_plan_pb2.LaunchPlanUpdateRequest(id=registry.id(LAUNCH_PLAN, name), state=launch_plan_pb2.ACTIVE))
    assert not any(existed for _kind, _name, existed in done(promote(name, "--to", TO)))
    assert all(existed for _kind, _name, existed in done(promote(name, "--to", TO, "--activate")))
    production = Registry(api, registry.project, TO)
    active = api.call("GetActiveLaunchPlan", launch_plan_pb2.ActiveLaunchPlanRequest(id=production.named(name)))
    assert active.id == production.id(LAUNCH_PLAN, name)


def test_S_20_another_structure_under_that_version_stays(api, registry, promote, name):
    registry.plan_of_one_task(name)
    production = Registry(api, registry.project, TO)
    production.plan_of_one_task(name, script="exit 1")
    refused = promote(name, "v1", "--to", TO)
    assert refused.returncode == 3 and "different structure" in refused.stderr
    assert promote(name, "v1", "--to", DOMAIN).returncode == 2
