"""Launch plans (A-30…A-37)."""

import pytest
from flyteidl.admin import common_pb2, launch_plan_pb2, schedule_pb2
from flyteidl.core import interface_pb2
from google.protobuf import any_pb2
from registry import DATETIME, INTEGER, LAUNCH_PLAN, WORKFLOW, literals, primitive, promise, task_node, task_template, workflow_template

ACTIVE, INACTIVE = launch_plan_pb2.ACTIVE, launch_plan_pb2.INACTIVE
Parameter = interface_pb2.Parameter


@pytest.fixture(scope="module")
def workflow(registry):
    """`(x: int, at: datetime)`."""
    inputs = {"x": INTEGER, "at": DATETIME}
    task = registry.task("e2e.timed", template=task_template("true", inputs))
    node = task_node(task, inputs=[promise("x", "", "x"), promise("at", "", "at")])
    return registry.workflow("e2e.timed", workflow_template([node], inputs))


@pytest.fixture(scope="module")
def bare(registry):
    """A workflow without inputs."""
    return registry.workflow("e2e.bare", workflow_template([task_node(registry.task("e2e.bare"))]))


def parameters(**given) -> interface_pb2.ParameterMap:
    return interface_pb2.ParameterMap(parameters=given)


def default(value, type=INTEGER) -> Parameter:
    return Parameter(var=interface_pb2.Variable(type=type), default=primitive(value))


def required(type=INTEGER) -> Parameter:
    return Parameter(var=interface_pb2.Variable(type=type), required=True)


def scheduled(**schedule) -> launch_plan_pb2.LaunchPlanMetadata:
    return launch_plan_pb2.LaunchPlanMetadata(schedule=schedule_pb2.Schedule(**schedule))


def cron(text: str) -> schedule_pb2.CronSchedule:
    return schedule_pb2.CronSchedule(schedule=text)


def labels(count: int) -> common_pb2.Labels:
    return common_pb2.Labels(values={f"k{i}": "v" for i in range(count)})


TRIGGER = any_pb2.Any()
TRIGGER.Pack(schedule_pb2.CronSchedule(schedule="@daily"))


def test_K_10_unknown_workflow(api, registry, name):
    request = registry.launch_plan_request(name, registry.id(WORKFLOW, "e2e.unknown"))
    api.refused("CreateLaunchPlan", request, "NOT_FOUND", "spec.workflow_id", "e2e.unknown")


@pytest.mark.parametrize(
    ("spec", "mentions"),
    [
        pytest.param({"default_inputs": parameters(z=default(1))}, ("z",), id="unknown_default"),
        pytest.param({"fixed_inputs": literals(z=1)}, ("z",), id="unknown_fixed"),
        pytest.param({"default_inputs": parameters(x=default("one"))}, ("x",), id="default_of_another_type"),
        pytest.param({"fixed_inputs": literals(x="one")}, ("x",), id="fixed_of_another_type"),
        pytest.param({"default_inputs": parameters(x=Parameter(var=interface_pb2.Variable(type=INTEGER)))}, ("x",), id="neither"),
        pytest.param({"labels": labels(17)}, ("spec.labels", "17", "16"), id="17_labels"),
        pytest.param({"labels": common_pb2.Labels(values={"a": "b c"})}, ("spec.labels", "b c"), id="label_value"),
        pytest.param({"labels": common_pb2.Labels(values={"a" * 64: "b"})}, ("spec.labels", "a" * 64), id="label_key_of_64"),
        pytest.param({"labels": common_pb2.Labels(values={"a": "b" * 64})}, ("spec.labels", "b" * 64), id="label_value_of_64"),
        pytest.param(
            {"entity_metadata": launch_plan_pb2.LaunchPlanMetadata(launch_conditions=TRIGGER)},
            ("launch_conditions",),
            id="launch_conditions",
        ),
        pytest.param(
            {"entity_metadata": launch_plan_pb2.LaunchPlanMetadata(notifications=[common_pb2.Notification(phases=[4])])},
            ("notifications[0]",),
            id="notification_without_channel",
        ),
        pytest.param(
            {
                "entity_metadata": launch_plan_pb2.LaunchPlanMetadata(
                    notifications=[common_pb2.Notification(phases=[2], email={"recipients_email": ["a@b"]})]
                )
            },
            ("notifications[0].phases", "RUNNING"),
            id="notification_of_a_phase_that_is_not_terminal",
        ),
        pytest.param(
            {
                "entity_metadata": launch_plan_pb2.LaunchPlanMetadata(
                    notifications=[common_pb2.Notification(phases=[4], email=common_pb2.EmailNotification())]
                )
            },
            ("recipients_email",),
            id="notification_without_recipients",
        ),
    ],
)
def test_K_11(api, registry, workflow, name, spec, mentions):
    api.refused("CreateLaunchPlan", registry.launch_plan_request(name, workflow, **spec), "INVALID_ARGUMENT", *mentions)


def test_K_11_inputs_for_a_workflow_without_any(api, registry, bare, name):
    request = registry.launch_plan_request(name, bare, fixed_inputs=literals(x=1))
    api.refused("CreateLaunchPlan", request, "INVALID_ARGUMENT", "x")


@pytest.mark.parametrize("given", [labels(16), common_pb2.Labels(values={"a" * 63: "b" * 63, "example.com/x": ""})])
def test_A_30_labels_up_to_the_limit(api, registry, bare, name, given):
    registry.launch_plan(name, bare, labels=given)


@pytest.mark.parametrize(
    ("schedule", "mentions"),
    [
        pytest.param({"cron_schedule": cron("0 6 * * *")}, ("at",), id="unbound_input"),
        pytest.param({"cron_schedule": cron("61 * * * *"), "kickoff_time_input_arg": "at"}, ("61 * * * *",), id="minute_61"),
        pytest.param({"cron_schedule": cron("* * * *"), "kickoff_time_input_arg": "at"}, ("* * * *",), id="four_fields"),
        pytest.param({"cron_schedule": cron(""), "kickoff_time_input_arg": "at"}, ("cron_schedule",), id="empty"),
        pytest.param({"cron_expression": "never", "kickoff_time_input_arg": "at"}, ("cron_expression", "never"), id="old_field"),
        pytest.param(
            {"cron_schedule": cron("CRON_TZ=Nowhere/Land 0 6 * * *"), "kickoff_time_input_arg": "at"}, ("Nowhere/Land",), id="zone"
        ),
        pytest.param({"cron_schedule": cron("0 6 * * *"), "kickoff_time_input_arg": "x"}, ("x", "datetime"), id="kickoff_type"),
        pytest.param({"cron_schedule": cron("0 6 * * *"), "kickoff_time_input_arg": "z"}, ("z",), id="kickoff_unknown"),
        pytest.param(
            {"rate": schedule_pb2.FixedRate(value=0, unit=schedule_pb2.HOUR), "kickoff_time_input_arg": "at"}, ("rate.value",), id="rate_0"
        ),
        pytest.param(
            {"rate": schedule_pb2.FixedRate(value=1, unit=9), "kickoff_time_input_arg": "at"}, ("rate.unit", "9"), id="rate_unit"
        ),
    ],
)
def test_K_12(api, registry, workflow, name, schedule, mentions):
    request = registry.launch_plan_request(
        name, workflow, default_inputs=parameters(x=default(1)), entity_metadata=scheduled(**schedule)
    )
    api.refused("CreateLaunchPlan", request, "INVALID_ARGUMENT", *mentions)


@pytest.mark.parametrize(
    "expression", ["0 6 * * *", "@daily", "@every 90m", "CRON_TZ=Europe/Berlin 0 6 * * 1-5", "*/5 1,2 1-3 jan sun", "0 0 ? * *"]
)
def test_A_35_accepted(api, registry, workflow, name, expression):
    registry.launch_plan(
        name,
        workflow,
        default_inputs=parameters(x=default(1)),
        entity_metadata=scheduled(cron_schedule=cron(expression), kickoff_time_input_arg="at"),
    )


def test_A_35_fixed_rate(api, registry, bare, name):
    rate = schedule_pb2.FixedRate(value=10, unit=schedule_pb2.MINUTE)
    registry.launch_plan(name, bare, entity_metadata=scheduled(rate=rate))


def test_A_31_defaults_are_merged_with_required_ones(api, registry, workflow, name):
    plan = registry.launch_plan(name, workflow, default_inputs=parameters(x=default(1)))
    found = api.read("GetLaunchPlan", common_pb2.ObjectGetRequest(id=plan))
    assert found.spec.default_inputs == found.closure.expected_inputs
    assert found.closure.expected_inputs.parameters["x"].default == primitive(1)
    assert found.closure.expected_inputs.parameters["at"].required


def test_A_31_two_that_merge_alike_are_identical(api, registry, workflow, name):
    registry.launch_plan(name, workflow)
    said = registry.launch_plan_request(name, workflow, default_inputs=parameters(x=required(), at=required(DATETIME)))
    api.refused("CreateLaunchPlan", said, "ALREADY_EXISTS", name)


def test_A_31_another_default_is_another_plan(api, registry, workflow, name):
    registry.launch_plan(name, workflow)
    changed = registry.launch_plan_request(name, workflow, default_inputs=parameters(x=default(2)))
    api.refused("CreateLaunchPlan", changed, "INVALID_ARGUMENT", name)


def test_A_31_fixed_inputs_are_no_longer_expected(api, registry, workflow, name):
    plan = registry.launch_plan(name, workflow, fixed_inputs=literals(x=1))
    found = api.read("GetLaunchPlan", common_pb2.ObjectGetRequest(id=plan))
    assert list(found.closure.expected_inputs.parameters) == ["at"]


def test_A_32_new_plans_are_inactive(api, registry, bare, name):
    plan = registry.launch_plan(name, bare)
    assert api.read("GetLaunchPlan", common_pb2.ObjectGetRequest(id=plan)).closure.state == INACTIVE


def update(plan, state):
    return launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=state)


def active(registry, name):
    return launch_plan_pb2.ActiveLaunchPlanRequest(id=registry.named(name))


def test_K_13_activation_moves(api, registry, bare, name):
    plans = [registry.launch_plan(name, bare, version) for version in ("v1", "v2")]
    for plan in plans:
        api.call("UpdateLaunchPlan", update(plan, ACTIVE))
    states = [api.read("GetLaunchPlan", common_pb2.ObjectGetRequest(id=plan)).closure.state for plan in plans]
    assert states == [INACTIVE, ACTIVE]
    assert api.read("GetActiveLaunchPlan", active(registry, name)).id == plans[1]
    all_active = launch_plan_pb2.ActiveLaunchPlanListRequest(project=registry.project, domain=registry.domain, limit=1000)
    listed = api.read("ListActiveLaunchPlans", all_active).launch_plans
    assert [plan.id for plan in listed if plan.id.name == name] == [plans[1]]
    # One schedule row a name: the state of the other is a matter of the same filter.
    only = common_pb2.ResourceListRequest(id=registry.named(name), limit=10, filters="eq(state,1)")
    assert [plan.id for plan in api.read("ListLaunchPlans", only).launch_plans] == [plans[1]]


def test_A_33_over_rest_activation_and_back(api, registry, bare, name):
    plan = registry.launch_plan(name, bare)
    api.rest("UpdateLaunchPlan", update(plan, ACTIVE))
    api.rest("UpdateLaunchPlan", update(plan, ACTIVE))
    assert api.read("GetActiveLaunchPlan", active(registry, name)).closure.state == ACTIVE
    api.rest("UpdateLaunchPlan", update(plan, INACTIVE))
    api.refused("GetActiveLaunchPlan", active(registry, name), "NOT_FOUND", name)


def test_K_14_none_active(api, registry, bare, name):
    registry.launch_plan(name, bare)
    api.refused("GetActiveLaunchPlan", active(registry, name), "NOT_FOUND", name)


def test_A_33_refused(api, registry, bare, name):
    plan = registry.launch_plan(name, bare)
    api.refused("UpdateLaunchPlan", update(registry.id(LAUNCH_PLAN, name, "v9"), ACTIVE), "NOT_FOUND", name, "v9")
    api.refused("UpdateLaunchPlan", update(plan, 7), "INVALID_ARGUMENT", "state", "7")


def test_Q_4_a_bad_identifier_is_refused(api, registry, name):
    api.refused("UpdateLaunchPlan", update(registry.id(LAUNCH_PLAN, name, ""), ACTIVE), "INVALID_ARGUMENT", "id.version")
    api.refused("UpdateLaunchPlan", update(registry.id(WORKFLOW, name), ACTIVE), "INVALID_ARGUMENT", "id.resource_type")


def test_K_6_unknown_plan(api, registry, name):
    api.refused("GetLaunchPlan", common_pb2.ObjectGetRequest(id=registry.id(LAUNCH_PLAN, name)), "NOT_FOUND", name)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(lambda r: r.ClearField("id"), "id", id="no_id"),
        pytest.param(lambda r: r.id.ClearField("version"), "id.version", id="no_version"),
        pytest.param(lambda r: r.ClearField("spec"), "spec", id="no_spec"),
        pytest.param(lambda r: r.spec.ClearField("workflow_id"), "spec.workflow_id", id="no_workflow"),
        pytest.param(lambda r: r.spec.workflow_id.ClearField("name"), "spec.workflow_id.name", id="workflow_without_name"),
        pytest.param(lambda r: setattr(r.spec.workflow_id, "resource_type", 1), "spec.workflow_id.resource_type", id="a_task"),
        pytest.param(lambda r: setattr(r.spec, "max_parallelism", -1), "spec.max_parallelism", id="negative_parallelism"),
        pytest.param(lambda r: setattr(r.spec.concurrency_policy, "behavior", 9), "concurrency_policy", id="behaviour_9"),
        pytest.param(
            lambda r: r.spec.annotations.values.update({f"a{i}": "b" for i in range(17)}), "spec.annotations", id="17_annotations"
        ),
    ],
)
def test_A_30_refused(api, registry, bare, name, change, field):
    request = registry.launch_plan_request(name, bare)
    change(request)
    api.refused("CreateLaunchPlan", request, "INVALID_ARGUMENT", field)


def test_Q_2_every_entry_is_checked(api, registry, workflow, name):
    """Flyte stops at the first datetime that it meets."""
    at = literals(at=primitive(1))
    at.literals["at"].scalar.primitive.datetime.FromSeconds(1)
    at.literals["x"].CopyFrom(primitive("one"))
    api.refused("CreateLaunchPlan", registry.launch_plan_request(name, workflow, fixed_inputs=at), "INVALID_ARGUMENT", "x")


def test_Q_7_kickoff_of_a_fixed_rate_is_served(api, registry, workflow, name):
    rate = schedule_pb2.FixedRate(value=1, unit=schedule_pb2.DAY)
    registry.launch_plan(
        name,
        workflow,
        default_inputs=parameters(x=default(1)),
        entity_metadata=scheduled(rate=rate, kickoff_time_input_arg="at"),
    )
