"""Matchable attributes (A-90…A-94, A-43, A-46, A-210) and what they do to runs."""

import os
import time

import pytest
from flyteidl.admin import cluster_assignment_pb2, execution_pb2, matchable_resource_pb2 as matchable
from flyteidl.admin import project_attributes_pb2, project_domain_attributes_pb2, task_execution_pb2
from flyteidl.admin import workflow_attributes_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2, tasks_pb2
from google.protobuf import duration_pb2

from registry import DOMAIN, task_node, task_template, workflow_template
from transports import Refusal

Phase = core_execution.WorkflowExecution
Attempt = core_execution.TaskExecution
Kind = matchable.MatchableResource


def attributes(**target) -> matchable.MatchingAttributes:
    return matchable.MatchingAttributes(**target)


class Levels:
    """Sets attributes of the module's project and takes them away again."""

    def __init__(self, api, project):
        self.api, self.project = api, project
        self.cleanups = []

    def of_project(self, given):
        one = project_attributes_pb2.ProjectAttributes(project=self.project, matching_attributes=given)
        self.api.call("UpdateProjectAttributes", project_attributes_pb2.ProjectAttributesUpdateRequest(attributes=one))
        return lambda kind: self.api.call(
            "DeleteProjectAttributes", project_attributes_pb2.ProjectAttributesDeleteRequest(project=self.project, resource_type=kind)
        )

    def of_domain(self, given):
        one = project_domain_attributes_pb2.ProjectDomainAttributes(project=self.project, domain=DOMAIN, matching_attributes=given)
        request = project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest(attributes=one)
        self.api.call("UpdateProjectDomainAttributes", request)
        return lambda kind: self.api.call(
            "DeleteProjectDomainAttributes",
            project_domain_attributes_pb2.ProjectDomainAttributesDeleteRequest(project=self.project, domain=DOMAIN, resource_type=kind),
        )

    def of_workflow(self, workflow, given):
        one = workflow_attributes_pb2.WorkflowAttributes(
            project=self.project, domain=DOMAIN, workflow=workflow, matching_attributes=given
        )
        self.api.call("UpdateWorkflowAttributes", workflow_attributes_pb2.WorkflowAttributesUpdateRequest(attributes=one))
        return lambda kind: self.api.call(
            "DeleteWorkflowAttributes",
            workflow_attributes_pb2.WorkflowAttributesDeleteRequest(
                project=self.project, domain=DOMAIN, workflow=workflow, resource_type=kind
            ),
        )


@pytest.fixture(scope="module")
def levels(api, project):
    return Levels(api, project)


def spec_of(api, id) -> execution_pb2.ExecutionSpec:
    return api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id)).spec


def ended(api, id, within=60) -> execution_pb2.Execution:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        run = api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id))
        if run.closure.phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT):
            return run
        time.sleep(0.1)
    raise AssertionError(f"{id.name} has not ended within {within} s")


def attempts(api, id) -> list[task_execution_pb2.TaskExecution]:
    """Of its node n0; none before that began."""
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=id, node_id="n0")
    try:
        return list(api.call("ListTaskExecutions", task_execution_pb2.TaskExecutionListRequest(node_execution_id=node, limit=10)).task_executions)
    except Refusal as refusal:
        assert refusal.code == "NOT_FOUND", refusal
        return []


def attempt_is(api, id, phase, within=30) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        listed = attempts(api, id)
        if listed and listed[0].closure.phase == phase:
            return
        time.sleep(0.05)
    raise AssertionError(f"{id.name} is not {core_execution.TaskExecution.Phase.Name(phase)} after {within} s")


def quality(**fields) -> matchable.MatchingAttributes:
    return attributes(quality_of_service=core_execution.QualityOfService(**fields))


SPEC_KINDS = [
    pytest.param(
        Kind.EXECUTION_CLUSTER_LABEL,
        lambda n: attributes(execution_cluster_label=matchable.ExecutionClusterLabel(value=f"label{n}")),
        lambda spec: spec.execution_cluster_label.value,
        lambda n: f"label{n}",
        id="cluster_label",
    ),
    pytest.param(
        Kind.QUALITY_OF_SERVICE_SPECIFICATION,
        lambda n: quality(spec=core_execution.QualityOfServiceSpec(queueing_budget=duration_pb2.Duration(seconds=n))),
        lambda spec: spec.quality_of_service.spec.queueing_budget.seconds,
        lambda n: n,
        id="K_33_quality_of_service",
    ),
    pytest.param(
        Kind.WORKFLOW_EXECUTION_CONFIG,
        lambda n: attributes(workflow_execution_config=matchable.WorkflowExecutionConfig(max_parallelism=n)),
        lambda spec: spec.max_parallelism,
        lambda n: n,
        id="execution_config",
    ),
    pytest.param(
        Kind.CLUSTER_ASSIGNMENT,
        lambda n: attributes(cluster_assignment=cluster_assignment_pb2.ClusterAssignment(cluster_pool_name=f"pool{n}")),
        lambda spec: spec.cluster_assignment.cluster_pool_name,
        lambda n: f"pool{n}",
        id="cluster_assignment",
    ),
]


@pytest.mark.parametrize(("kind", "make", "seen", "value"), SPEC_KINDS)
def test_K_32_most_specific_wins_and_deleted_the_next_one_does(api, registry, levels, name, kind, make, seen, value):
    plan = registry.plan_of_one_task(name)
    run = lambda: seen(spec_of(api, registry.execute(plan)))
    nothing = run()
    drop_project = levels.of_project(make(1))
    assert run() == value(1)
    drop_domain = levels.of_domain(make(2))
    assert run() == value(2)
    drop_workflow = levels.of_workflow(name, make(3))
    levels.of_workflow(f"{name}.other", make(4))
    assert run() == value(3)
    request = workflow_attributes_pb2.WorkflowAttributesGetRequest(
        project=registry.project, domain=DOMAIN, workflow=name, resource_type=kind
    )
    assert api.read("GetWorkflowAttributes", request).attributes.matching_attributes == make(3)
    drop_workflow(kind)
    assert api.read("GetWorkflowAttributes", request).attributes.matching_attributes == make(2)
    assert run() == value(2)
    drop_domain(kind)
    assert run() == value(1)
    drop_project(kind)
    assert run() == nothing


@pytest.mark.parametrize("kind", list(Kind.values()), ids=list(Kind.keys()))
def test_A_93_nothing_set_is_not_found_and_so_is_deleting_it(api, registry, levels, kind):
    fields = {"project": registry.project, "domain": DOMAIN, "workflow": "of.nobody", "resource_type": kind}
    api.refused("GetWorkflowAttributes", workflow_attributes_pb2.WorkflowAttributesGetRequest(**fields), "NOT_FOUND", Kind.Name(kind))
    request = workflow_attributes_pb2.WorkflowAttributesDeleteRequest(**fields)
    assert api.refusal(api.call, "DeleteWorkflowAttributes", request).code == "NOT_FOUND"


def test_A_93_project_config_is_filled_up_with_the_defaults(api, project):
    request = project_attributes_pb2.ProjectAttributesGetRequest(project=project, resource_type=Kind.WORKFLOW_EXECUTION_CONFIG)
    answer = api.read("GetProjectAttributes", request)
    assert answer.attributes.matching_attributes.WhichOneof("target") == "workflow_execution_config"


def test_A_92_scope(api, project):
    given = attributes(execution_cluster_label=matchable.ExecutionClusterLabel(value="x"))
    Update = workflow_attributes_pb2.WorkflowAttributesUpdateRequest
    Attributes = workflow_attributes_pb2.WorkflowAttributes

    def refused(code, *mentions, **scope):
        refusal = api.refusal(api.call, "UpdateWorkflowAttributes", Update(attributes=Attributes(matching_attributes=given, **scope)))
        assert refusal.code == code and all(one in refusal.message for one in mentions), refusal

    refused("INVALID_ARGUMENT", "project", workflow="w")
    refused("INVALID_ARGUMENT", "project", domain=DOMAIN, workflow="w")
    refused("INVALID_ARGUMENT", "no-such-project", project="no-such-project", domain=DOMAIN, workflow="w")
    refused("INVALID_ARGUMENT", "moon", project=project, domain="moon", workflow="w")
    empty = api.refusal(api.call, "UpdateWorkflowAttributes", Update(attributes=Attributes(project=project, domain=DOMAIN, workflow="w")))
    assert empty.code == "INVALID_ARGUMENT" and "matching_attributes" in empty.message


def test_A_91_list_by_kind(api, levels, project):
    drop = levels.of_project(attributes(cluster_resource_attributes=matchable.ClusterResourceAttributes(attributes={"cpu": "7"})))
    request = matchable.ListMatchableAttributesRequest(resource_type=Kind.CLUSTER_RESOURCE)
    mine = [one for one in api.read("ListMatchableAttributes", request).configurations if one.project == project]
    assert [(one.domain, one.workflow, one.launch_plan) for one in mine] == [("", "", "")]
    assert mine[0].attributes.cluster_resource_attributes.attributes["cpu"] == "7"
    drop(Kind.CLUSTER_RESOURCE)


def test_A_46_only_the_assigned_pool(api, registry, levels, name):
    plan = registry.plan_of_one_task(name)
    Pool = cluster_assignment_pb2.ClusterAssignment
    drop = levels.of_domain(attributes(cluster_assignment=Pool(cluster_pool_name="east")))
    request = registry.execution_request(plan, cluster_assignment=Pool(cluster_pool_name="west"))
    refusal = api.refusal(api.call, "CreateExecution", request)
    assert refusal.code == "INVALID_ARGUMENT" and "east" in refusal.message and "west" in refusal.message
    registry.execute(plan, cluster_assignment=Pool(cluster_pool_name="east"))
    drop(Kind.CLUSTER_ASSIGNMENT)


def override(plugin, missing) -> matchable.MatchingAttributes:
    one = matchable.PluginOverride(task_type="raw-container", plugin_id=[plugin], missing_plugin_behavior=missing)
    return attributes(plugin_overrides=matchable.PluginOverrides(overrides=[one]))


def test_A_94_plugin_that_is_not_here(api, registry, levels, name):
    plan = registry.plan_of_one_task(name)
    levels.of_workflow(name, override("unheard-of", matchable.PluginOverride.FAIL))
    run = ended(api, registry.execute(plan))
    assert run.closure.phase == Phase.FAILED
    assert "unheard-of" in run.closure.error.message
    levels.of_workflow(name, override("unheard-of", matchable.PluginOverride.USE_DEFAULT))
    assert ended(api, registry.execute(plan)).closure.phase == Phase.SUCCEEDED


def test_A_94_overrides_are_merged_by_task_type(api, registry, levels, name):
    levels.of_workflow(name, override("a", matchable.PluginOverride.FAIL))
    other = matchable.PluginOverride(task_type="spark", plugin_id=["b"])
    levels.of_workflow(name, attributes(plugin_overrides=matchable.PluginOverrides(overrides=[other])))
    request = workflow_attributes_pb2.WorkflowAttributesGetRequest(
        project=registry.project, domain=DOMAIN, workflow=name, resource_type=Kind.PLUGIN_OVERRIDE
    )
    overrides = api.read("GetWorkflowAttributes", request).attributes.matching_attributes.plugin_overrides.overrides
    assert {one.task_type: list(one.plugin_id) for one in overrides} == {"raw-container": ["a"], "spark": ["b"]}


def test_S_27_limits_of_a_domain_refuse_tasks_above_them(api, registry, levels, name):
    limits = matchable.TaskResourceSpec(cpu="2")
    drop = levels.of_domain(attributes(task_resource_attributes=matchable.TaskResourceAttributes(limits=limits)))
    template = task_template()
    template.container.resources.requests.add(name=tasks_pb2.Resources.CPU, value="3")
    api.refused("CreateTask", registry.task_request(name, template=template), "INVALID_ARGUMENT", "cpu", "3", "2")
    drop(Kind.TASK_RESOURCE)
    api.call("CreateTask", registry.task_request(name, template=template))


def whole_machine(script: str) -> tasks_pb2.TaskTemplate:
    """One at a time: it asks for every core."""
    template = task_template(script)
    template.container.resources.requests.add(name=tasks_pb2.Resources.CPU, value=str(len(os.sched_getaffinity(0))))
    return template


def test_A_210_the_higher_tier_goes_first(api, registry, name, tmp_path):
    gate = tmp_path / "gate"
    tmp_path.chmod(0o777)
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done"

    def plan(kind, text):
        task = registry.task(f"{name}.{kind}", template=whole_machine(text))
        workflow = registry.workflow(f"{name}.{kind}", workflow_template([task_node(task)]))
        return registry.launch_plan(f"{name}.{kind}", workflow)

    blocker, plain = plan("blocker", script), plan("plain", "true")
    first = registry.execute(blocker)
    attempt_is(api, first, Attempt.RUNNING)
    tier = lambda value: core_execution.QualityOfService(tier=value)
    low = registry.execute(plain, quality_of_service=tier(core_execution.QualityOfService.LOW))
    attempt_is(api, low, Attempt.WAITING_FOR_RESOURCES)
    medium = registry.execute(plain)
    attempt_is(api, medium, Attempt.WAITING_FOR_RESOURCES)
    high = registry.execute(plain, quality_of_service=tier(core_execution.QualityOfService.HIGH))
    attempt_is(api, high, Attempt.WAITING_FOR_RESOURCES)
    gate.touch()
    for run in (first, low, medium, high):
        assert ended(api, run).closure.phase == Phase.SUCCEEDED
    began = [attempts(api, run)[0].closure.started_at.ToNanoseconds() for run in (high, medium, low)]
    assert 0 not in began and began == sorted(began)
