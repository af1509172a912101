"""Filters, sorts and pages of every list (B18: A-190…A-196, U-20)."""

import itertools

import pytest
from conftest import new_project
from flyteidl.admin import (
    common_pb2,
    description_entity_pb2,
    execution_pb2,
    launch_plan_pb2,
    node_execution_pb2,
    project_pb2,
    signal_pb2,
    task_execution_pb2,
)
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2
from registry import DOMAIN, INTEGER, LAUNCH_PLAN, STRING, TASK, WORKFLOW, Registry, promise, task_node, task_template, workflow_template
from test_executions import run_name, wait

Sort = common_pb2.Sort
ASCENDING, DESCENDING = Sort.ASCENDING, Sort.DESCENDING
Phase = core_execution.WorkflowExecution


class Prepared:
    """Six runs of two plans: known phases, labels, inputs."""

    def __init__(self, api):
        self.api = api
        self.registry = registry = Registry(api, new_project(api))
        train = self.plan("train.model", "abc", f'[ "$0" = ok ]')
        other = self.plan("other", "v1", "true")
        plans = {"train": train, "other": other}
        self.runs = {}
        for name, plan, n, label, text in [
            ("one", "train", 1, "ml", "ok"),
            ("two", "train", 2, "ml", "bad"),
            ("three", "train", 3, "data", "ok"),
            ("four", "other", 10, "ml", "ok"),
            ("five", "other", 20, "data", "a;b"),
            ("six", "other", 30, "ml", "a)+eq(b"),
        ]:
            labels = common_pb2.Labels(values={"team": label, "n": str(n)})
            self.runs[name] = registry.execute(plans[plan], name, {"n": n, "text": text}, labels=labels, tags=[f"tag {name}"])
        for run in self.runs.values():
            wait(api, run)

    def plan(self, name, version, script):
        inputs = {"n": INTEGER, "text": STRING}
        template = task_template(script, inputs)
        template.container.args.append("{{.inputs.text}}")
        task = self.registry.task(name, version, template)
        node = task_node(task, inputs=[promise(one, "", one) for one in inputs])
        workflow = self.registry.workflow(name, workflow_template([node], inputs), version)
        return self.registry.launch_plan(name, workflow, version)

    def found(self, filters: str) -> set[str]:
        request = common_pb2.ResourceListRequest(id=self.registry.named(), limit=100, filters=filters)
        return {one.id.name for one in self.api.read("ListExecutions", request).executions}


@pytest.fixture(scope="module")
def prepared(api):
    return Prepared(api)


ALL = {"one", "two", "three", "four", "five", "six"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("eq(execution.phase,FAILED)+gte(execution_created_at,2026-01-01T00:00:00Z)", {"two"}),
        ("value_in(phase,SUCCEEDED;QUEUED)", ALL - {"two"}),
        ("contains(launch_plan.name,train)", {"one", "two", "three"}),
        ("eq(execution_tag.key,team)+eq(execution_tag.value,ml)", {"one", "two", "four", "six"}),
        ("ne(state,1)", ALL),
        ("eq(workflow.version,abc)", {"one", "two", "three"}),
    ],
)
def test_K_31_the_six_filters(prepared, filters, expected):
    assert prepared.found(filters) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("", ALL),
        ("eq(name,one)", {"one"}),
        ("eq(execution_name,one)", {"one"}),
        ("ne(phase,FAILED)", ALL - {"two"}),
        ("value_not_in(name,one;two)", ALL - {"one", "two"}),
        ("value_in(name,one)", {"one"}),
        ("contains(name,e)", {"one", "three", "five"}),
        ("not_like(name,%e)", {"two", "four", "six"}),
        ("contains(name,%)", set()),
        ("contains(name,_)", set()),
        ("eq(phase, FAILED)", {"two"}),
        ("lt(CreatedAt,2026-01-01T00:00:00Z)", set()),
        ("gt(ExecutionCreatedAt,2026-01-01T00:00:00+02:00)", ALL),
        ("gte(started_at,2026-01-01)", ALL),
        ("gte(duration,0)", ALL),
        ("lt(duration,1h30m)", ALL),
        ("gt(duration,90)", set()),
        ("eq(mode,0)", ALL),
        ("eq(workflow.name,other)+eq(launch_plan.version,v1)", {"four", "five", "six"}),
        ("eq(execution_tag.key,team)+eq(execution_tag.value,2)", set()),
        ("eq(admin_tag.name,tag one)", {"one"}),
        ("eq(execution_admin_tag.key,tag two)", {"two"}),
        ("eq(state,1)", set()),
    ],
)
def test_A_191_filters(prepared, filters, expected):
    assert prepared.found(filters) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("eq(name,one) OR eq(name,two)", {"one", "two"}),
        ("eq(name,one) OR eq(name,two)+eq(phase,FAILED)", {"two"}),
        ("contains(launch_plan.name,train) OR eq(execution_tag.value,data)", {"one", "two", "three", "five"}),
        ("eq(input.n,10)", {"four"}),
        ("gt(input.n,3)", {"four", "five", "six"}),
        ("lte(input.n,2)+eq(input.text,ok)", {"one"}),
        ("ne(input.text,ok)", {"two", "five", "six"}),
        ("value_in(input.n,1;2;30)", {"one", "two", "six"}),
        ("value_not_in(input.n,1;2;30)", {"three", "four", "five"}),
        ("contains(input.text,o)", {"one", "three", "four"}),
        ("eq(input.nothing,1)", set()),
        ("ne(input.nothing,1)", ALL),
        ("gt(input.text,5)", set()),
        ("eq(output.n,1)", set()),
        (r"eq(input.text,a\;b)", {"five"}),
        (r"eq(input.text,a\)+eq(b)", {"six"}),
        (r"eq(input.text,a\)+eq(b)+eq(phase,SUCCEEDED)", {"six"}),
        (r"value_in(input.text,a\;b;bad)", {"two", "five"}),
        ("ne(user,nobody-in-particular)", ALL),
    ],
)
def test_U_20_our_additions(prepared, filters, expected):
    assert prepared.found(filters) == expected


REFUSED = [
    ("like(phase,X)", ("like", "contains")),
    ("eq(colour,red)", ("colour",)),
    ("eq(project.name,x)", ("project",)),
    ("eq(signal.name,x)", ("signal",)),
    ("gt(CreatedAt,yesterday)", ("yesterday", "RFC 3339")),
    ("gt(execution_created_at,2026-13-40T00:00:00Z)", ("2026-13-40",)),
    ("eq(phase,A;B)", ("value_in",)),
    ("eq(mode,one)", ("one",)),
    ("eq(state,99999999999999999999)", ("99999999999999999999",)),
    ("contains(duration,1)", ("duration",)),
    ("gt(duration,soon)", ("soon",)),
    ("phase=FAILED", ("phase=FAILED",)),
    ("eq(phase,FAILED)+", ("is no filter",)),
    ("eq(phase,FAILED)OR eq(phase,X)+x", ("is no filter",)),
    ("eq(phase)", ("is no filter",)),
    ("eq(,x)", ("is no filter",)),
    ("eq(a.b.c,x)", ("a.b.c",)),
    ("EQ(phase,x)", ("EQ",)),
    ("(", ("is no filter",)),
    ("not_like(name,a\\)", ("backslash",)),
    ("not_like(input.x,a\\)", ("backslash",)),
    ("eq(__proto__,x)", ("__proto__",)),
    ("eq(constructor.name,x)", ("constructor",)),
    ("eq(phase,a\0b)", ("NUL",)),
    ("eq(phase);DROP TABLE executions;--,x)", ("is no filter",)),
    ("eq(e.phase,x)", ('"e"',)),
    ("eq(phase::text,x)", ("is no filter",)),
    ("+".join(["eq(phase,x)"] * 51), ("50",)),
]


@pytest.mark.parametrize(("filters", "mentions"), REFUSED, ids=[text[:40].replace("\0", "0") for text, _ in REFUSED])
def test_K_30_filters(api, registry, filters, mentions):
    request = common_pb2.ResourceListRequest(id=registry.named(), limit=10, filters=filters)
    api.refused("ListExecutions", request, "INVALID_ARGUMENT", "filters", *mentions)


@pytest.mark.parametrize("value", ["' OR 1=1 --", "'; DROP TABLE executions; --", "$1", "\\", "%00", "\u2028", "x" * 5000])
@pytest.mark.parametrize("function", ["eq", "contains", "not_like", "value_in"])
def test_A_190_values_are_values(prepared, function, value):
    """Whatever a value says, it is compared, not run."""
    if value == "\\" and function == "not_like":
        return  # no pattern (K-30)
    if ";" in value and function != "value_in":
        value = value.replace(";", r"\;")
    expected = ALL if function == "not_like" else set()
    assert prepared.found(f"{function}(name,{value})") == expected


SCOPED = {"project": "flytesnacks", "domain": DOMAIN}
RUN = identifier_pb2.WorkflowExecutionIdentifier(name="unused", **SCOPED)


def lists(registry, run):
    """Every list with a first page of one row: rpc, request of the given paging."""
    named = registry.named()
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=run, node_id="n0")
    scope = {"project": registry.project, "domain": registry.domain}
    task = identifier_pb2.TaskExecutionIdentifier(
        task_id=registry.id(TASK, "train.model", "abc"), node_execution_id=node, retry_attempt=0
    )
    return {
        "ListTasks": lambda **page: common_pb2.ResourceListRequest(id=named, **page),
        "ListWorkflows": lambda **page: common_pb2.ResourceListRequest(id=named, **page),
        "ListLaunchPlans": lambda **page: common_pb2.ResourceListRequest(id=named, **page),
        "ListExecutions": lambda **page: common_pb2.ResourceListRequest(id=named, **page),
        "ListTaskIds": lambda **page: common_pb2.NamedEntityIdentifierListRequest(**scope, **page),
        "ListWorkflowIds": lambda **page: common_pb2.NamedEntityIdentifierListRequest(**scope, **page),
        "ListLaunchPlanIds": lambda **page: common_pb2.NamedEntityIdentifierListRequest(**scope, **page),
        "ListActiveLaunchPlans": lambda **page: launch_plan_pb2.ActiveLaunchPlanListRequest(**scope, **page),
        "ListNamedEntities": lambda **page: common_pb2.NamedEntityListRequest(resource_type=TASK, **scope, **page),
        "ListDescriptionEntities": lambda **page: description_entity_pb2.DescriptionEntityListRequest(
            resource_type=TASK, id=registry.named("train.model"), **page
        ),
        "ListNodeExecutions": lambda **page: node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=run, **page),
        "ListNodeExecutionsForTask": lambda **page: node_execution_pb2.NodeExecutionForTaskListRequest(
            task_execution_id=task, **page
        ),
        "ListTaskExecutions": lambda **page: task_execution_pb2.TaskExecutionListRequest(node_execution_id=node, **page),
        "ListSignals": lambda **page: signal_pb2.SignalListRequest(workflow_execution_id=run, **page),
    }


RPCS = sorted(lists(Registry(None, "p"), RUN))


@pytest.mark.parametrize("rpc", RPCS)
def test_K_7_limit_0(api, prepared, rpc):
    request = lists(prepared.registry, prepared.runs["one"])[rpc]
    api.refused(rpc, request(limit=0), "INVALID_ARGUMENT", "limit", "0")


@pytest.mark.parametrize("rpc", RPCS)
@pytest.mark.parametrize("token", ["abc", "-1", "1.5", "9" * 16, "0x10", "1; DROP TABLE x", "١", " "])
def test_K_7_tokens(api, prepared, rpc, token):
    request = lists(prepared.registry, prepared.runs["one"])[rpc]
    api.refused(rpc, request(limit=1, token=token), "INVALID_ARGUMENT", "token", token.strip())


@pytest.mark.parametrize("rpc", RPCS)
def test_A_195_unknown_sort_key(api, prepared, rpc):
    request = lists(prepared.registry, prepared.runs["one"])[rpc]
    for key in ("colour", "name; DROP TABLE x", "created_at DESC", "(SELECT 1)"):
        api.refused(rpc, request(limit=1, sort_by=Sort(key=key)), "INVALID_ARGUMENT", "sort_by.key", key)


@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if rpc not in ("ListActiveLaunchPlans",)])
def test_A_193_unknown_field_in_every_list(api, prepared, rpc):
    request = lists(prepared.registry, prepared.runs["one"])[rpc]
    if "filters" not in request().DESCRIPTOR.fields_by_name:
        return
    api.refused(rpc, request(limit=1, filters="eq(colour,red)"), "INVALID_ARGUMENT", "filters", "colour")


@pytest.mark.parametrize("rpc", RPCS)
def test_A_196_a_good_page(api, prepared, rpc):
    request = lists(prepared.registry, prepared.runs["one"])[rpc]
    api.read(rpc, request(limit=1, sort_by=Sort(key="created_at", direction=ASCENDING)))
    last = api.read(rpc, request(limit=1000, token="1000000"))
    assert not last.token


def pages(api, rpc, request, field, limit, **page):
    """All rows, page after page."""
    token, seen = "", []
    for _ in itertools.count():
        answer = api.read(rpc, request(limit=limit, token=token, **page))
        rows = getattr(answer, field)
        assert len(rows) <= limit
        seen.extend(rows)
        token = answer.token
        if not token:
            return seen


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7, 100])
@pytest.mark.parametrize("key", ["", "created_at", "phase", "mode"])
@pytest.mark.parametrize("direction", [ASCENDING, DESCENDING])
def test_A_195_pages_neither_repeat_nor_skip(api, prepared, limit, key, direction):
    request = lists(prepared.registry, prepared.runs["one"])["ListExecutions"]
    seen = [run.id.name for run in pages(api, "ListExecutions", request, "executions", limit, sort_by=Sort(key=key, direction=direction))]
    assert sorted(seen) == sorted(ALL)


@pytest.mark.parametrize(
    ("direction", "expected"), [(ASCENDING, ["five", "four", "one"]), (DESCENDING, ["two", "three", "six"])]
)
def test_A_195_sorted_by_name(api, prepared, direction, expected):
    request = common_pb2.ResourceListRequest(
        id=prepared.registry.named(), limit=3, sort_by=Sort(key="name", direction=direction)
    )
    answer = api.read("ListExecutions", request)
    assert [run.id.name for run in answer.executions] == expected and answer.token == "3"


def test_A_12_versions_of_one_name_and_of_all(api, name):
    registry = Registry(api, new_project(api))
    for version in ("v1", "v2", "v3"):
        registry.task(name, version)
    registry.task(f"{name}.other")

    def versions(named, **page):
        request = common_pb2.ResourceListRequest(id=named, limit=10, **page)
        return [(one.id.name, one.id.version) for one in api.read("ListTasks", request).tasks]

    assert sorted(versions(registry.named(name))) == [(name, "v1"), (name, "v2"), (name, "v3")]
    assert len(versions(registry.named())) == 4
    assert versions(registry.named(name), sort_by=Sort(key="version"))[0] == (name, "v3")
    assert versions(registry.named(), filters=f"eq(task.version,v2)") == [(name, "v2")]
    names = common_pb2.NamedEntityIdentifierListRequest(project=registry.project, domain=DOMAIN, limit=10)
    assert [one.name for one in api.read("ListTaskIds", names).entities] == [name, f"{name}.other"]


@pytest.mark.parametrize("rpc", ["ListTasks", "ListWorkflows", "ListLaunchPlans", "ListExecutions"])
@pytest.mark.parametrize("part", ["project", "domain"])
def test_A_12_scope_is_required(api, registry, rpc, part):
    named = registry.named()
    named.ClearField(part)
    request = common_pb2.ResourceListRequest(id=named, limit=10)
    api.refused(rpc, request, "INVALID_ARGUMENT", f"id.{part}")
    api.refused(rpc, common_pb2.ResourceListRequest(limit=10), "INVALID_ARGUMENT", "id")


@pytest.mark.parametrize("limit", [1, 4_294_967_295])
def test_A_196_odd_limits(api, registry, limit):
    request = common_pb2.ResourceListRequest(id=registry.named(), limit=limit)
    api.call("ListExecutions", request)


def test_K_7_projects_take_limit_0_for_all(api):
    everything = api.read("ListProjects", project_pb2.ProjectListRequest()).projects
    ids = [project.id for project in everything]
    assert {"flytesnacks", "aloft"} <= set(ids) and ids == sorted(ids) and not api.call("ListProjects", project_pb2.ProjectListRequest()).token


def test_A_192_joins(api, prepared):
    run = prepared.runs["one"]
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=run, node_id="n0")
    for filters, count in [
        ("eq(task.name,train.model)+eq(execution.name,one)", 1),
        ("eq(node_execution.phase,SUCCEEDED)", 1),
        ("eq(phase,FAILED)", 0),
        ("eq(task_execution.retry_attempt,0)", 1),
    ]:
        request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node, limit=10, filters=filters)
        assert len(api.read("ListTaskExecutions", request).task_executions) == count, filters
    nodes = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=run, limit=10, filters="eq(execution.phase,SUCCEEDED)")
    assert {one.id.node_id for one in api.read("ListNodeExecutions", nodes).node_executions} >= {"n0"}
    plans = common_pb2.ResourceListRequest(id=prepared.registry.named(), limit=10, filters="eq(workflow.version,abc)")
    assert [plan.id.name for plan in api.read("ListLaunchPlans", plans).launch_plans] == ["train.model"]


def test_A_53_inputs_are_stripped(api, prepared):
    request = common_pb2.ResourceListRequest(id=prepared.registry.named(), limit=10)
    for run in api.read("ListExecutions", request).executions:
        assert not run.spec.HasField("inputs") and not run.closure.HasField("computed_inputs")


def test_A_100_entities_by_metadata(api, prepared):
    registry = prepared.registry
    for filters, expected in [
        ("eq(named_entity_metadata.state,0)", ["other", "train.model"]),
        ("contains(name,train)", ["train.model"]),
        ("eq(entities.name,other)", ["other"]),
        ("eq(state,1)", []),
    ]:
        request = common_pb2.NamedEntityListRequest(
            resource_type=LAUNCH_PLAN, project=registry.project, domain=DOMAIN, limit=10, filters=filters
        )
        assert [one.id.name for one in api.read("ListNamedEntities", request).entities] == expected


def test_A_23_the_type_of_an_id_in_execution_lists(api, prepared):
    request = common_pb2.ResourceListRequest(id=prepared.registry.named("train.model"), limit=10)
    assert WORKFLOW and isinstance(api.call("ListExecutions", request), execution_pb2.ExecutionList)
