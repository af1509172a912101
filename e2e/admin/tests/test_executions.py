"""Executions (A-40…A-57)."""

import time
import uuid

import pytest
from conftest import new_project
from flyteidl.admin import common_pb2, event_pb2, execution_pb2, launch_plan_pb2, project_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, security_pb2
from google.protobuf import wrappers_pb2
from registry import DOMAIN, INTEGER, LAUNCH_PLAN, STRING, TASK, WORKFLOW, Registry, literals, primitive, task_template
from transports import Refusal

Phase = core_execution.WorkflowExecution
TERMINAL = {Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT}


def run_name() -> str:
    return f"r{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def plan(registry):
    """`(x: int)`, runs for a moment."""
    return registry.plan_of_one_task("e2e.quick", inputs={"x": INTEGER})


@pytest.fixture(scope="module")
def slow(registry):
    return registry.plan_of_one_task("e2e.slow", script="sleep 60")


def get(api, execution):
    return api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=execution))


def wait(api, execution, phases=TERMINAL, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = get(api, execution)
        if found.closure.phase in phases:
            return found
        time.sleep(0.05)
    raise AssertionError(f"still {Phase.Phase.Name(found.closure.phase)} after {seconds} s")


@pytest.fixture(scope="module")
def done(api, registry, plan):
    """A run that has succeeded."""
    execution = registry.execute(plan, run_name(), {"x": 5})
    assert wait(api, execution).closure.phase == Phase.SUCCEEDED
    return execution


def test_A_40_generated_names(api, registry, plan):
    execution = registry.execute(plan, inputs={"x": 1})
    assert len(execution.name) == 20 and execution.name[0] == "a" and execution.name.isalnum()


def test_K_16_name_taken(api, registry, plan, done):
    api.refused("CreateExecution", registry.execution_request(plan, done.name, {"x": 1}), "ALREADY_EXISTS", done.name)


@pytest.mark.parametrize("name", ["9abc", "a" * 64, "-a", "a_b", "a.b", "ä", "a b", "a/b", "a\0", "..", "a\n"])
def test_K_16_names_refused(api, registry, plan, name):
    refusal = api.refused("CreateExecution", registry.execution_request(plan, name, {"x": 1}), "INVALID_ARGUMENT", "name")
    assert name[:20].strip("\0\n") in refusal.message


@pytest.mark.parametrize("name", ["a" * 63, "Abc", "a-", "a--b", "Z9"])
def test_K_16_names_accepted(api, name):
    registry = Registry(api, new_project(api))
    plan = registry.plan_of_one_task("e2e.named")
    assert registry.execute(plan, name).name == name
    wait(api, registry.execution_id(name))


@pytest.mark.parametrize(
    ("inputs", "mentions"),
    [
        pytest.param({"x": 1, "y": 2}, ("y",), id="unknown"),
        pytest.param({}, ("x",), id="missing"),
        pytest.param({"x": "one"}, ("x",), id="wrong_type"),
        pytest.param({"x": 1.5}, ("x",), id="float_for_integer"),
    ],
)
def test_K_17_inputs(api, registry, plan, inputs, mentions):
    api.refused("CreateExecution", registry.execution_request(plan, run_name(), inputs), "INVALID_ARGUMENT", *mentions)


def test_K_17_fixed_input(api, registry, plan, name):
    workflow = registry.id(WORKFLOW, "e2e.quick")
    fixed = registry.launch_plan(name, workflow, fixed_inputs=literals(x=1))
    for value in (1, 2):
        api.refused("CreateExecution", registry.execution_request(fixed, run_name(), {"x": value}), "INVALID_ARGUMENT", "x")
    registry.execute(fixed, run_name())


def test_K_18_a_workflow_cannot_be_launched(api, registry):
    request = registry.execution_request(registry.id(WORKFLOW, "e2e.quick"), run_name(), {"x": 1})
    api.refused("CreateExecution", request, "INVALID_ARGUMENT", "spec.launch_plan.resource_type", "WORKFLOW")


def test_K_19_single_task(api, registry, name):
    task = registry.task(name, template=task_template("true", {"x": INTEGER}))
    execution = registry.execute(task, run_name(), {"x": 1})
    found = wait(api, execution)
    assert found.closure.phase == Phase.SUCCEEDED
    assert found.spec.launch_plan == task
    assert found.closure.workflow_id.name == f".flytegen.{name}"
    generated = registry.named(f".flytegen.{name}")
    entity = common_pb2.NamedEntityGetRequest(resource_type=WORKFLOW, id=generated)
    assert api.read("GetNamedEntity", entity).metadata.state == common_pb2.SYSTEM_GENERATED
    for kind in (WORKFLOW, LAUNCH_PLAN):
        listed = common_pb2.NamedEntityListRequest(resource_type=kind, project=registry.project, domain=DOMAIN, limit=1000)
        assert f".flytegen.{name}" not in {one.id.name for one in api.read("ListNamedEntities", listed).entities}


def test_Q_12_tags_and_labels_of_single_tasks_are_found(api, registry, name):
    task = registry.task(name)
    labels = common_pb2.Labels(values={"team": name})
    execution = registry.execute(task, run_name(), labels=labels, tags=[f"tag-{name}"])
    for filters in (f"eq(execution_tag.key,team)+eq(execution_tag.value,{name})", f"eq(admin_tag.name,tag-{name})"):
        request = common_pb2.ResourceListRequest(id=registry.named(), limit=10, filters=filters)
        assert [one.id for one in api.call("ListExecutions", request).executions] == [execution]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(lambda r: r.ClearField("spec"), "spec", id="no_spec"),
        pytest.param(lambda r: r.spec.ClearField("launch_plan"), "spec.launch_plan", id="no_plan"),
        pytest.param(lambda r: r.spec.launch_plan.ClearField("version"), "spec.launch_plan.version", id="plan_without_version"),
        pytest.param(lambda r: setattr(r.spec, "max_parallelism", -1), "spec.max_parallelism", id="negative_parallelism"),
        pytest.param(lambda r: r.spec.labels.values.update({f"k{i}": "v" for i in range(17)}), "spec.labels", id="17_labels"),
        pytest.param(lambda r: r.spec.labels.values.update({"a": "b" * 64}), "spec.labels", id="label_value_of_64"),
        pytest.param(lambda r: r.spec.labels.values.update({"-": "b"}), "spec.labels", id="label_key"),
        pytest.param(lambda r: r.spec.annotations.values.update({f"k{i}": "" for i in range(17)}), "spec.annotations", id="17_annotations"),
        pytest.param(lambda r: r.spec.tags.append("t" * 256), "spec.tags[0]", id="tag_of_256"),
        pytest.param(lambda r: r.spec.tags.append(""), "spec.tags[0]", id="empty_tag"),
        pytest.param(lambda r: r.spec.tags.extend(f"t{i}" for i in range(65)), "spec.tags", id="65_tags"),
        pytest.param(lambda r: r.spec.notifications.notifications.add(), "notifications[0]", id="empty_notification"),
        pytest.param(
            lambda r: r.spec.metadata.parent_node_execution.execution_id.MergeFrom(
                identifier_pb2.WorkflowExecutionIdentifier(project=r.project, domain=r.domain, name="nobody")
            ),
            "parent_node_execution",
            id="unknown_parent",
        ),
    ],
)
def test_A_40_refused(api, registry, plan, change, field):
    request = registry.execution_request(plan, run_name(), {"x": 1})
    change(request)
    api.refused("CreateExecution", request, "INVALID_ARGUMENT", field)


def test_A_40_up_to_the_limits(api, registry, plan):
    request = registry.execution_request(plan, run_name(), {"x": 1}, tags=["t" * 255])
    request.spec.labels.values.update({f"k{i}": "v" * 63 for i in range(16)})
    request.spec.annotations.values.update({f"a{i}": "any text\n" * 10 for i in range(16)})
    execution = api.call("CreateExecution", request).id
    spec = get(api, execution).spec
    assert spec.labels == request.spec.labels and spec.annotations == request.spec.annotations


def test_K_5_unknown_project_or_domain(api, registry, plan):
    request = registry.execution_request(plan, run_name(), {"x": 1})
    request.project = "nowhere"
    api.refused("CreateExecution", request, "INVALID_ARGUMENT", "project", "nowhere")
    request = registry.execution_request(plan, run_name(), {"x": 1})
    request.domain = "moon"
    api.refused("CreateExecution", request, "INVALID_ARGUMENT", "domain", "moon", "development")


def test_A_47_unknown_plan_and_task(api, registry):
    for kind in (LAUNCH_PLAN, TASK):
        request = registry.execution_request(registry.id(kind, "e2e.unknown"), run_name())
        api.refused("CreateExecution", request, "NOT_FOUND", "spec.launch_plan", "e2e.unknown")


def test_A_40_inputs_in_the_spec(api, registry, plan):
    request = registry.execution_request(plan, run_name())
    request.spec.inputs.CopyFrom(literals(x=7))
    execution = api.call("CreateExecution", request).id
    data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=execution))
    assert data.full_inputs == literals(x=7)


def test_A_41_defaults_are_merged_into_the_inputs(api, registry, plan, name):
    parameter = interface_pb2.Parameter(var=interface_pb2.Variable(type=INTEGER), default=primitive(3))
    given = interface_pb2.ParameterMap(parameters={"x": parameter})
    defaulted = registry.launch_plan(name, registry.id(WORKFLOW, "e2e.quick"), default_inputs=given)
    execution = registry.execute(defaulted, run_name())
    data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=execution))
    assert data.full_inputs == literals(x=3)


def test_A_43_the_request_wins_over_the_plan(api, registry, name):
    plan = registry.plan_of_one_task(name, max_parallelism=3, labels=common_pb2.Labels(values={"a": "plan"}))
    own = registry.execute(plan, run_name(), max_parallelism=5, labels=common_pb2.Labels(values={"a": "request"}))
    plans = registry.execute(plan, run_name())
    spec = get(api, own).spec
    assert (spec.max_parallelism, spec.labels.values["a"]) == (5, "request")
    spec = get(api, plans).spec
    assert (spec.max_parallelism, spec.labels.values["a"]) == (3, "plan")


def test_A_37_what_a_plan_says_reaches_its_runs(api, registry, name):
    said = {
        "annotations": common_pb2.Annotations(values={"note": "plan"}),
        "security_context": security_pb2.SecurityContext(run_as=security_pb2.Identity(iam_role="arn:aws:iam::1:role/r")),
        "raw_output_data_config": common_pb2.RawOutputDataConfig(output_location_prefix="s3://aloft/data/elsewhere"),
        "interruptible": wrappers_pb2.BoolValue(value=True),
        "overwrite_cache": True,
        "envs": common_pb2.Envs(values=[literals_pb2.KeyValuePair(key="A", value="b")]),
        "quality_of_service": core_execution.QualityOfService(tier=core_execution.QualityOfService.HIGH),
    }
    plan = registry.plan_of_one_task(name, **said)
    spec = get(api, registry.execute(plan, run_name())).spec
    context = spec.security_context.run_as
    assert context.iam_role == said["security_context"].run_as.iam_role
    for field in said.keys() - {"security_context"}:
        assert getattr(spec, field) == said[field], field


def test_A_44_labels_of_the_project_fill_gaps(api, name):
    project = new_project(api, labels=common_pb2.Labels(values={"team": "project", "cost": "42"}))
    registry = Registry(api, project)
    plan = registry.plan_of_one_task(name)
    execution = registry.execute(plan, run_name(), labels=common_pb2.Labels(values={"team": "request"}))
    assert dict(get(api, execution).spec.labels.values) == {"team": "request", "cost": "42"}


def test_A_45_identity_of_the_request(api, registry, plan):
    context = security_pb2.SecurityContext(run_as=security_pb2.Identity(k8s_service_account="robot"))
    execution = registry.execute(plan, run_name(), {"x": 1}, security_context=context)
    assert get(api, execution).spec.security_context.run_as.k8s_service_account == "robot"


def test_A_56_a_run_read_on_both_transports(api, done):
    found = api.read("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=done))
    closure = found.closure
    assert closure.phase == Phase.SUCCEEDED
    assert closure.created_at.ToNanoseconds() <= closure.started_at.ToNanoseconds() <= closure.updated_at.ToNanoseconds()
    assert closure.duration.ToNanoseconds() >= 0


def test_K_6_unknown_execution(api, registry):
    for rpc, request in [
        ("GetExecution", execution_pb2.WorkflowExecutionGetRequest),
        ("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest),
        ("TerminateExecution", execution_pb2.ExecutionTerminateRequest),
        ("UpdateExecution", execution_pb2.ExecutionUpdateRequest),
        ("RelaunchExecution", execution_pb2.ExecutionRelaunchRequest),
        ("RecoverExecution", execution_pb2.ExecutionRecoverRequest),
        ("GetExecutionMetrics", execution_pb2.WorkflowExecutionGetMetricsRequest),
    ]:
        api.refused(rpc, request(id=registry.execution_id("nobody")), "NOT_FOUND", "nobody")


@pytest.mark.parametrize("part", ["project", "domain", "name"])
def test_A_5_incomplete_execution_id(api, registry, part):
    id = registry.execution_id("somebody")
    id.ClearField(part)
    for rpc, request in [
        ("GetExecution", execution_pb2.WorkflowExecutionGetRequest),
        ("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest),
        ("TerminateExecution", execution_pb2.ExecutionTerminateRequest),
        ("UpdateExecution", execution_pb2.ExecutionUpdateRequest),
        ("RelaunchExecution", execution_pb2.ExecutionRelaunchRequest),
        ("RecoverExecution", execution_pb2.ExecutionRecoverRequest),
    ]:
        api.refused(rpc, request(id=id), "INVALID_ARGUMENT", f"id.{part}")
        api.refused(rpc, request(), "INVALID_ARGUMENT", "id")


def test_K_20_terminate_a_running_one(api, registry, slow):
    execution = registry.execute(slow, run_name())
    wait(api, execution, {Phase.RUNNING})
    api.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=execution, cause="enough"))
    at_once = get(api, execution).closure
    assert at_once.phase in (Phase.ABORTING, Phase.ABORTED) and at_once.abort_metadata.cause == "enough"
    ended = wait(api, execution).closure
    assert ended.phase == Phase.ABORTED
    assert ended.abort_metadata.cause == "enough"
    refusal = api.refused("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=execution), "FAILED_PRECONDITION")
    assert refusal.detail(event_pb2.EventFailureReason).already_in_terminal_state.current_phase == "ABORTED"


def test_K_20_terminate_a_finished_one(api, done):
    request = execution_pb2.ExecutionTerminateRequest(id=done, cause="late")
    refusal = api.refused("TerminateExecution", request, "FAILED_PRECONDITION", done.name, "SUCCEEDED")
    assert refusal.detail(event_pb2.EventFailureReason).already_in_terminal_state.current_phase == "SUCCEEDED"
    assert not get(api, done).closure.HasField("abort_metadata")


def test_A_51_over_rest_with_a_long_cause(api, registry, slow):
    execution = registry.execute(slow, run_name())
    api.rest("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=execution, cause="ö" * 1000))
    assert wait(api, execution).closure.abort_metadata.cause == "ö" * 1000


def test_A_49_relaunch(api, registry, done):
    again = api.call("RelaunchExecution", execution_pb2.ExecutionRelaunchRequest(id=done, name=run_name())).id
    spec = get(api, again).spec
    assert spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    assert spec.metadata.reference_execution == done
    data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=again))
    assert data.full_inputs == literals(x=5)


def test_A_49_relaunch_under_a_name_that_is_taken_or_wrong(api, done):
    taken = execution_pb2.ExecutionRelaunchRequest(id=done, name=done.name)
    api.refused("RelaunchExecution", taken, "ALREADY_EXISTS", done.name)
    api.refused("RelaunchExecution", execution_pb2.ExecutionRelaunchRequest(id=done, name="9"), "INVALID_ARGUMENT", "name", "9")


def test_A_50_recover(api, registry, done):
    again = api.call("RecoverExecution", execution_pb2.ExecutionRecoverRequest(id=done, name=run_name())).id
    found = wait(api, again)
    assert found.closure.phase == Phase.SUCCEEDED
    assert found.spec.metadata.mode == execution_pb2.ExecutionMetadata.RECOVERED
    assert found.spec.metadata.reference_execution == done


def test_K_21_relaunch_keeps_the_old_spec(api, registry, name):
    """Q-5: also when the plan says something else by now."""
    old = registry.plan_of_one_task(name, max_parallelism=3)
    first = registry.execute(old, run_name())
    registry.launch_plan(name, registry.id(WORKFLOW, name), "v2", max_parallelism=9)
    again = api.call("RelaunchExecution", execution_pb2.ExecutionRelaunchRequest(id=first, name=run_name())).id
    spec = get(api, again).spec
    assert spec.launch_plan == old and spec.max_parallelism == 3


def names(api, registry, filters=""):
    request = common_pb2.ResourceListRequest(id=registry.named(), limit=1000, filters=filters)
    return {one.id.name for one in api.read("ListExecutions", request).executions}


def test_K_22_archive(api, name):
    registry = Registry(api, new_project(api))
    execution = registry.execute(registry.plan_of_one_task(name), run_name())
    wait(api, execution)
    archived = execution_pb2.ExecutionUpdateRequest(id=execution, state=execution_pb2.EXECUTION_ARCHIVED)
    api.rest("UpdateExecution", archived)
    assert execution.name not in names(api, registry)
    assert execution.name in names(api, registry, "eq(state,1)")
    details = get(api, execution).closure.state_change_details
    assert details.state == execution_pb2.EXECUTION_ARCHIVED and details.occurred_at.seconds > 0
    api.call("UpdateExecution", execution_pb2.ExecutionUpdateRequest(id=execution))
    assert execution.name in names(api, registry)


def test_A_52_unknown_state(api, done):
    api.refused("UpdateExecution", execution_pb2.ExecutionUpdateRequest(id=done, state=5), "INVALID_ARGUMENT", "state", "5")


@pytest.mark.parametrize("behavior", ["CONCURRENCY_LIMIT_BEHAVIOR_SKIP"])
def test_K_15_concurrency(api, registry, name, behavior):
    policy = launch_plan_pb2.ConcurrencyPolicy(max=1, behavior=behavior)
    plan = registry.plan_of_one_task(name, script="sleep 60", concurrency_policy=policy)
    first = registry.execute(plan, run_name())
    api.refused("CreateExecution", registry.execution_request(plan, run_name()), "ALREADY_EXISTS", name, "1")
    api.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=first))
    wait(api, first)
    second = registry.execute(plan, run_name())
    api.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=second))


def test_A_36_unspecified_lets_it_start(api, registry, name):
    policy = launch_plan_pb2.ConcurrencyPolicy(max=1)
    plan = registry.plan_of_one_task(name, concurrency_policy=policy)
    for _ in range(3):
        registry.execute(plan, run_name())


def test_K_37_errors_are_cut_in_lists(api, name):
    registry = Registry(api, new_project(api))
    plan = registry.plan_of_one_task(name, script="head -c 10000 /dev/zero | tr '\\0' x >&2; exit 3")
    execution = registry.execute(plan, run_name())
    found = wait(api, execution).closure
    assert found.phase == Phase.FAILED and len(found.error.message) > 1000
    request = common_pb2.ResourceListRequest(id=registry.named(), limit=10)
    [listed] = api.read("ListExecutions", request).executions
    assert len(listed.closure.error.message.encode()) == 100
    assert found.error.message.startswith(listed.closure.error.message)
    for filters in ("contains(error_message,xxxx)", "eq(phase,FAILED)+eq(error_kind,USER)"):
        assert names(api, registry, filters) == {execution.name}
    assert names(api, registry, "contains(error_message,nothing like it)") == set()


def test_A_54_data(api, registry, done):
    data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=done))
    assert data.full_inputs == literals(x=5) and data.inputs.bytes > 0 and data.inputs.url


def test_A_54_large_inputs_are_answered_by_reference(api, registry, name):
    plan = registry.plan_of_one_task(name, inputs={"s": STRING})
    request = registry.execution_request(plan, run_name(), {"s": "x" * (3 * 1024 * 1024)})
    execution = api.call("CreateExecution", request).id
    data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=execution))
    assert not data.HasField("full_inputs") and data.inputs.bytes > 3 * 1024 * 1024 and data.inputs.url.startswith("http")


def test_A_83_archived_project(api, name):
    registry = Registry(api, new_project(api))
    plan = registry.plan_of_one_task(name)
    run = registry.execute(plan, run_name())
    wait(api, run)
    api.call("UpdateProject", project_pb2.Project(id=registry.project, state=project_pb2.Project.ARCHIVED))
    create = [
        ("CreateTask", registry.task_request(f"{name}.2")),
        ("CreateExecution", registry.execution_request(plan, run_name())),
        ("RelaunchExecution", execution_pb2.ExecutionRelaunchRequest(id=run)),
        ("RecoverExecution", execution_pb2.ExecutionRecoverRequest(id=run)),
    ]
    deadline = time.monotonic() + 10
    # Another replica may know the project's state of a moment ago (admin.caches.settingsTtlMs).
    while time.monotonic() < deadline:
        try:
            api.call("CreateTask", registry.task_request(f"{name}.{uuid.uuid4().hex}"))
        except Refusal:
            break
    for rpc, request in create:
        refusal = api.refused(rpc, request, "INVALID_ARGUMENT", registry.project)
        assert refusal.detail(project_pb2.InactiveProject).id == registry.project
    assert get(api, run).closure.phase == Phase.SUCCEEDED

