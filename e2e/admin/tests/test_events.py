"""Events of foreign engines (A-60…A-63, K-23…K-25), in a project whose engine is EXTERNAL."""

import json
import uuid

import pytest
from flyteidl.admin import event_pb2, execution_pb2, node_execution_pb2, signal_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core
from flyteidl.core import identifier_pb2
from flyteidl.event import event_pb2 as told
from google.protobuf.timestamp_pb2 import Timestamp
from registry import BOOLEAN, TASK, literals, primitive

Phase, NodePhase, TaskPhase = core.WorkflowExecution, core.NodeExecution, core.TaskExecution


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=1_700_000_000 + seconds)


def set_engine(http, project: str, engine: str) -> dict:
    status, _, body = http.send("PUT", f"/api/v1/project_settings/{project}", json.dumps({"engine": engine}))
    assert status == 200, body
    return json.loads(body)


class Engine:
    """Stands in for somebody else's propeller."""

    def __init__(self, api, registry, plan):
        self.api, self.registry, self.plan = api, registry, plan

    def new_run(self, **spec) -> identifier_pb2.WorkflowExecutionIdentifier:
        return self.registry.execute(self.plan, f"e{uuid.uuid4().hex[:12]}", **spec)

    def run(self, id, phase, seconds=1, **fields):
        event = told.WorkflowExecutionEvent(execution_id=id, phase=phase, occurred_at=at(seconds), **fields)
        return event_pb2.WorkflowExecutionEventRequest(event=event)

    def node(self, id, phase, seconds=1, node="n0", **fields):
        event = told.NodeExecutionEvent(
            id=self.node_id(id, node), phase=phase, occurred_at=at(seconds), **{"spec_node_id": node, **fields}
        )
        return event_pb2.NodeExecutionEventRequest(event=event)

    def task(self, id, phase, seconds=1, node="n0", **fields):
        event = told.TaskExecutionEvent(
            task_id=self.registry.id(TASK, self.plan.name),
            parent_node_execution_id=self.node_id(id, node),
            phase=phase,
            occurred_at=at(seconds),
            **fields,
        )
        return event_pb2.TaskExecutionEventRequest(event=event)

    def node_id(self, id, node="n0"):
        return identifier_pb2.NodeExecutionIdentifier(node_id=node, execution_id=id)

    def tell(self, request):
        self.api.call(self.rpc(request), request)

    def refused(self, request, code, *mentions):
        return self.api.refused(self.rpc(request), request, code, *mentions)

    @staticmethod
    def rpc(request) -> str:
        return f"Create{type(request).__name__.removesuffix('EventRequest').removesuffix('Execution')}Event"

    def closure(self, id):
        return self.api.read("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id)).closure


@pytest.fixture(scope="module")
def engine(api, http, project, registry) -> Engine:
    assert set_engine(http, project, "EXTERNAL")["effective_engine"] == "EXTERNAL"
    return Engine(api, registry, registry.plan_of_one_task("foreign", inputs={}))


def failure(refusal) -> event_pb2.EventFailureReason:
    return refusal.detail(event_pb2.EventFailureReason)


# ---- runs


def test_A_56_a_fresh_run_is_undefined_until_the_engine_reports(engine):
    id = engine.new_run()
    assert engine.closure(id).phase == Phase.UNDEFINED
    engine.tell(engine.run(id, Phase.QUEUED))
    assert engine.closure(id).phase == Phase.QUEUED


def test_K_23_same_phase_again(engine):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.RUNNING))
    engine.refused(engine.run(id, Phase.RUNNING, 2), "ALREADY_EXISTS", "RUNNING", id.name)


def test_A_60_queued_again_is_none_of_that(engine):
    id = engine.new_run()
    for seconds in (1, 2, 3):
        engine.tell(engine.run(id, Phase.QUEUED, seconds))


@pytest.mark.parametrize("end", [Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT])
def test_K_23_after_the_end(engine, end):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.RUNNING))
    engine.tell(engine.run(id, end, 2))
    engine.refused(engine.run(id, end, 3), "ALREADY_EXISTS")
    for phase in (Phase.RUNNING, Phase.QUEUED, Phase.FAILING):
        refusal = engine.refused(engine.run(id, phase, 3), "FAILED_PRECONDITION", Phase.Phase.Name(end))
        assert failure(refusal).already_in_terminal_state.current_phase == Phase.Phase.Name(end)


def test_K_23_running_to_queued(engine):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.RUNNING))
    engine.refused(engine.run(id, Phase.QUEUED, 2), "FAILED_PRECONDITION", "RUNNING", "QUEUED")


def test_K_23_other_producer(engine):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.QUEUED, producer_id="one"))
    refusal = engine.refused(engine.run(id, Phase.RUNNING, producer_id="two"), "FAILED_PRECONDITION", "one", "two")
    assert failure(refusal).incompatible_cluster.cluster == "one"
    refusal = engine.refused(engine.node(id, NodePhase.QUEUED, producer_id="two"), "FAILED_PRECONDITION", "one")
    assert failure(refusal).incompatible_cluster.cluster == "one"


def test_A_60_queued_may_be_given_to_another_cluster(engine, api):
    id = engine.new_run()
    for cluster in ("one", "two"):
        engine.tell(engine.run(id, Phase.QUEUED, producer_id=cluster))
    engine.tell(engine.run(id, Phase.RUNNING, producer_id="two"))
    found = api.read("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id))
    assert found.spec.metadata.system_metadata.execution_cluster == "two"


@pytest.mark.parametrize("producer", ["", "propeller"])
def test_A_60_old_producers_name_no_cluster(engine, producer):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.QUEUED, producer_id="one"))
    engine.tell(engine.run(id, Phase.RUNNING, producer_id=producer))


def test_K_23_inline_output(engine, api):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.RUNNING))
    too_large = engine.run(id, Phase.SUCCEEDED, 2, output_data=literals(o="a" * 3 * 1024 * 1024))
    engine.refused(too_large, "RESOURCE_EXHAUSTED", "event.output_data", "2097152")
    fits = literals(o="a" * 1024 * 1024)
    engine.tell(engine.run(id, Phase.SUCCEEDED, 2, output_data=fits))
    data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=id))
    assert data.full_outputs == fits
    assert engine.closure(id).outputs.uri.startswith("s3://")


def test_A_60_small_outputs_stay_with_the_run(engine, api):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.SUCCEEDED, output_data=literals(o=7)))
    data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=id))
    assert data.full_outputs == literals(o=7)


def test_A_60_duration_counts_from_the_first_running(engine):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.QUEUED, 1))
    engine.tell(engine.run(id, Phase.RUNNING, 10))
    engine.tell(engine.run(id, Phase.SUCCEEDING, 15))
    engine.tell(engine.run(id, Phase.SUCCEEDED, 22))
    closure = engine.closure(id)
    assert (closure.duration.seconds, closure.started_at) == (12, at(10))


def test_A_60_aborting_takes_only_an_end(engine, api):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.RUNNING))
    api.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=id, cause="enough"))
    assert engine.closure(id).phase == Phase.ABORTING
    engine.refused(engine.run(id, Phase.FAILING, 2), "FAILED_PRECONDITION", "ABORTING", "FAILING")
    engine.tell(engine.run(id, Phase.ABORTED, 3))
    assert engine.closure(id).abort_metadata.cause == "enough"


def test_A_60_error_of_a_failed_run(engine):
    id = engine.new_run()
    error = core.ExecutionError(code="USER:Oops", message="it broke", kind=core.ExecutionError.USER)
    engine.tell(engine.run(id, Phase.FAILED, error=error))
    assert engine.closure(id).error == error


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        pytest.param(lambda r: r.ClearField("event"), "event", id="event"),
        pytest.param(lambda r: r.event.ClearField("execution_id"), "event.execution_id", id="id"),
        pytest.param(lambda r: r.event.execution_id.ClearField("name"), "event.execution_id.name", id="name"),
        pytest.param(lambda r: r.event.ClearField("occurred_at"), "event.occurred_at", id="time"),
        pytest.param(lambda r: r.event.ClearField("phase"), "event.phase", id="phase"),
        pytest.param(lambda r: setattr(r.event, "phase", 77), "event.phase", id="unknown_phase"),
    ],
)
def test_A_60_without(engine, break_it, field):
    request = engine.run(engine.new_run(), Phase.RUNNING)
    break_it(request)
    engine.refused(request, "INVALID_ARGUMENT", field)


def test_A_60_unknown_run(engine, registry):
    engine.refused(engine.run(registry.execution_id("nowhere"), Phase.RUNNING), "NOT_FOUND", "nowhere")


# ---- nodes


def test_K_24_node_of_an_unknown_run(engine, registry):
    engine.refused(engine.node(registry.execution_id("nowhere"), NodePhase.QUEUED), "NOT_FOUND", "nowhere")


def test_K_24_same_phase_of_a_node(engine):
    id = engine.new_run()
    engine.tell(engine.node(id, NodePhase.QUEUED))
    engine.refused(engine.node(id, NodePhase.QUEUED, 2), "ALREADY_EXISTS", "n0", "QUEUED")


@pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "SKIPPED", "RECOVERED"])
def test_K_24_node_after_its_end(engine, end):
    id = engine.new_run()
    engine.tell(engine.node(id, NodePhase.Phase.Value(end)))
    refusal = engine.refused(engine.node(id, NodePhase.RUNNING, 2), "FAILED_PRECONDITION", end)
    assert failure(refusal).already_in_terminal_state.current_phase == end


def test_A_61_reads_back(engine, api):
    id = engine.new_run()
    engine.tell(engine.node(id, NodePhase.RUNNING, 3, input_data=literals(x=1), retry_group="0", is_parent=True))
    engine.tell(engine.node(id, NodePhase.SUCCEEDED, 9, output_data=literals(o=2)))
    get = node_execution_pb2.NodeExecutionGetRequest(id=engine.node_id(id))
    node = api.read("GetNodeExecution", get)
    assert (node.closure.phase, node.closure.duration.seconds) == (NodePhase.SUCCEEDED, 6)
    assert node.metadata.is_parent_node and node.metadata.spec_node_id == "n0"
    data = api.call("GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest(id=engine.node_id(id)))
    assert (data.full_inputs, data.full_outputs) == (literals(x=1), literals(o=2))


def test_A_61_A_70_parent_node(engine, api):
    id = engine.new_run()
    parent = told.ParentNodeExecutionMetadata(node_id="n0")
    child = engine.node(id, NodePhase.QUEUED, node="n0-0-n0", parent_node_metadata=parent)
    engine.refused(child, "NOT_FOUND", "parent_node_metadata", "n0")
    engine.tell(engine.node(id, NodePhase.RUNNING))
    engine.tell(child)

    def listed(unique_parent_id=""):
        request = node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id=id, limit=10, unique_parent_id=unique_parent_id
        )
        return [one.id.node_id for one in api.read("ListNodeExecutions", request).node_executions]

    assert (listed(), listed("n0")) == (["n0"], ["n0-0-n0"])


def test_A_61_A_71_parent_task(engine, api):
    id = engine.new_run()
    engine.tell(engine.node(id, NodePhase.RUNNING))
    parent = identifier_pb2.TaskExecutionIdentifier(
        task_id=engine.registry.id(TASK, engine.plan.name), node_execution_id=engine.node_id(id), retry_attempt=0
    )
    metadata = told.ParentTaskExecutionMetadata(id=parent)
    child = engine.node(id, NodePhase.QUEUED, node="old", parent_task_metadata=metadata)
    engine.refused(child, "NOT_FOUND", "parent_task_metadata")
    engine.tell(engine.task(id, TaskPhase.RUNNING))
    engine.tell(child)
    request = node_execution_pb2.NodeExecutionForTaskListRequest(task_execution_id=parent, limit=10)
    assert [one.id.node_id for one in api.read("ListNodeExecutionsForTask", request).node_executions] == ["old"]
    request.task_execution_id.retry_attempt = 7
    api.refused("ListNodeExecutionsForTask", request, "NOT_FOUND", "attempt 7")
    request.task_execution_id.node_execution_id.ClearField("node_id")
    api.refused("ListNodeExecutionsForTask", request, "INVALID_ARGUMENT", "node_execution_id.node_id")
    top = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=id, limit=10)
    assert [one.id.node_id for one in api.read("ListNodeExecutions", top).node_executions] == ["n0"]


def test_A_61_child_workflow(engine):
    id = engine.new_run()
    unborn = told.WorkflowNodeMetadata(execution_id=engine.registry.execution_id("unborn"))
    engine.refused(engine.node(id, NodePhase.RUNNING, workflow_node_metadata=unborn), "NOT_FOUND", "unborn")
    there = told.WorkflowNodeMetadata(execution_id=engine.new_run())
    engine.tell(engine.node(id, NodePhase.RUNNING, workflow_node_metadata=there))


def test_A_61_A_73_dynamic_workflow(engine, api):
    from flyteidl.core import compiler_pb2, workflow_pb2

    id = engine.new_run()
    made = engine.registry.id(identifier_pb2.WORKFLOW, "made")
    closure = compiler_pb2.CompiledWorkflowClosure(
        primary=compiler_pb2.CompiledWorkflow(template=workflow_pb2.WorkflowTemplate(id=made))
    )
    get = node_execution_pb2.GetDynamicNodeWorkflowRequest(id=engine.node_id(id))
    engine.tell(engine.node(id, NodePhase.RUNNING))
    api.refused("GetDynamicNodeWorkflow", get, "NOT_FOUND", "n0")
    metadata = told.TaskNodeMetadata(
        dynamic_workflow=told.DynamicWorkflowNodeMetadata(id=made, compiled_workflow=closure, dynamic_job_spec_uri="s3://a/b")
    )
    engine.tell(engine.node(id, NodePhase.DYNAMIC_RUNNING, 2, task_node_metadata=metadata, is_dynamic=True))
    assert api.read("GetDynamicNodeWorkflow", get).compiled_workflow == closure
    data = api.call("GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest(id=engine.node_id(id)))
    assert (data.dynamic_workflow.id, data.dynamic_workflow.compiled_workflow) == (made, closure)
    assert api.read("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest(id=engine.node_id(id))).metadata.is_dynamic


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        pytest.param(lambda r: r.ClearField("event"), "event", id="event"),
        pytest.param(lambda r: r.event.id.ClearField("node_id"), "event.id.node_id", id="node"),
        pytest.param(lambda r: r.event.id.ClearField("execution_id"), "event.id.execution_id", id="execution"),
        pytest.param(lambda r: r.event.ClearField("occurred_at"), "event.occurred_at", id="time"),
        pytest.param(lambda r: r.event.ClearField("phase"), "event.phase", id="phase"),
    ],
)
def test_A_61_without(engine, break_it, field):
    request = engine.node(engine.new_run(), NodePhase.QUEUED)
    break_it(request)
    engine.refused(request, "INVALID_ARGUMENT", field)


def test_A_72_uris_of_what_a_node_was_given_and_gave(engine, api):
    id = engine.new_run()
    engine.tell(engine.node(id, NodePhase.RUNNING, input_data=literals(x=1)))
    deck = "s3://aloft/metadata/propeller/deck.html"
    engine.tell(engine.node(id, NodePhase.SUCCEEDED, 2, output_data=literals(o=2), deck_uri=deck))
    data = api.call("GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest(id=engine.node_id(id)))
    base = f"flyte://v1/{id.project}/{id.domain}/{id.name}/n0"
    assert [data.flyte_urls.inputs, data.flyte_urls.outputs, data.flyte_urls.deck] == [f"{base}/{one}" for one in "iod"]
    node = api.read("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest(id=engine.node_id(id)))
    assert (node.input_uri, node.closure.output_uri, node.closure.deck_uri) == (f"{base}/i", f"{base}/o", deck)


@pytest.mark.parametrize(
    ("rpc", "request_type"),
    [
        ("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest),
        ("GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest),
        ("GetDynamicNodeWorkflow", node_execution_pb2.GetDynamicNodeWorkflowRequest),
    ],
)
def test_A_72_A_73_unknown_nodes(engine, api, rpc, request_type):
    id = engine.new_run()
    api.refused(rpc, request_type(id=engine.node_id(id, "none")), "NOT_FOUND", "none")
    unknown = engine.registry.execution_id("nowhere")
    api.refused(rpc, request_type(id=engine.node_id(unknown)), "NOT_FOUND", "nowhere")
    api.refused(rpc, request_type(), "INVALID_ARGUMENT", "id")
    api.refused(rpc, request_type(id=engine.node_id(id, "")), "INVALID_ARGUMENT", "id.node_id")


# ---- tasks


@pytest.fixture
def started(engine):
    """A run whose node n0 runs."""
    id = engine.new_run()
    engine.tell(engine.node(id, NodePhase.RUNNING))
    return id


def task_closure(engine, api, id, attempt=0):
    task_id = identifier_pb2.TaskExecutionIdentifier(
        task_id=engine.registry.id(TASK, engine.plan.name), node_execution_id=engine.node_id(id), retry_attempt=attempt
    )
    return api.read("GetTaskExecution", task_execution_pb2.TaskExecutionGetRequest(id=task_id)).closure


def test_A_62_parent_node_has_to_be_there(engine):
    engine.refused(engine.task(engine.new_run(), TaskPhase.QUEUED), "NOT_FOUND", "n0")


def test_K_25_versions_within_a_phase(engine, started):
    engine.tell(engine.task(started, TaskPhase.RUNNING, phase_version=2))
    for version in (0, 1, 2):
        engine.refused(engine.task(started, TaskPhase.RUNNING, phase_version=version), "ALREADY_EXISTS", "RUNNING")
    engine.tell(engine.task(started, TaskPhase.RUNNING, phase_version=3))


def test_K_25_logs_and_reasons_are_merged(engine, api, started):
    def log(name, uri):
        return core.TaskLog(name=name, uri=uri)

    engine.tell(engine.task(started, TaskPhase.RUNNING, 1, logs=[log("a", "u1")], reason="first"))
    reasons = [told.EventReason(reason="second", occurred_at=at(2)), told.EventReason(reason="third", occurred_at=at(3))]
    engine.tell(
        engine.task(started, TaskPhase.RUNNING, 3, phase_version=1, logs=[log("a", "u1"), log("b", "u2")], reasons=reasons)
    )
    closure = task_closure(engine, api, started)
    assert [(one.name, one.uri) for one in closure.logs] == [("a", "u1"), ("b", "u2")]
    assert [(one.message, one.occurred_at) for one in closure.reasons] == [("first", at(1)), ("second", at(2)), ("third", at(3))]
    assert closure.reason == "third"


def test_A_62_external_resources_by_index_and_attempt(engine, api, started):
    def resource(index, attempt, phase, external_id):
        return told.ExternalResourceInfo(index=index, retry_attempt=attempt, phase=phase, external_id=external_id)

    def tell(version, *resources):
        metadata = told.TaskExecutionMetadata(external_resources=resources)
        engine.tell(engine.task(started, TaskPhase.RUNNING, phase_version=version, metadata=metadata))

    tell(1, resource(0, 0, TaskPhase.RUNNING, "a"), resource(1, 0, TaskPhase.RUNNING, "b"))
    tell(2, resource(0, 0, TaskPhase.FAILED, "a"), resource(0, 1, TaskPhase.RUNNING, "c"))
    found = task_closure(engine, api, started).metadata.external_resources
    assert [(one.index, one.retry_attempt, one.phase, one.external_id) for one in found] == [
        (0, 0, TaskPhase.FAILED, "a"),
        (0, 1, TaskPhase.RUNNING, "c"),
        (1, 0, TaskPhase.RUNNING, "b"),
    ]


def test_A_62_custom_info_is_merged(engine, api, started):
    from google.protobuf.struct_pb2 import Struct

    def info(**values):
        made = Struct()
        made.update(values)
        return made

    engine.tell(engine.task(started, TaskPhase.RUNNING, custom_info=info(a="1", b="1")))
    engine.tell(engine.task(started, TaskPhase.RUNNING, phase_version=1, custom_info=info(b="2", c="2")))
    assert task_closure(engine, api, started).custom_info == info(a="1", b="2", c="2")


@pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "ABORTED"])
def test_A_62_after_the_end(engine, started, end):
    engine.tell(engine.task(started, TaskPhase.Phase.Value(end)))
    refusal = engine.refused(engine.task(started, TaskPhase.RUNNING, 2, phase_version=9), "FAILED_PRECONDITION", end)
    assert failure(refusal).already_in_terminal_state.current_phase == end
    # Another attempt is another task execution.
    engine.tell(engine.task(started, TaskPhase.RUNNING, 3, retry_attempt=1))


def test_A_74_attempts_of_a_node(engine, api, started):
    for attempt in (0, 1):
        engine.tell(engine.task(started, TaskPhase.FAILED, attempt + 1, retry_attempt=attempt))
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=engine.node_id(started), limit=10)
    assert sorted(one.id.retry_attempt for one in api.read("ListTaskExecutions", request).task_executions) == [0, 1]


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        pytest.param(lambda r: r.ClearField("event"), "event", id="event"),
        pytest.param(lambda r: r.event.ClearField("task_id"), "event.task_id", id="task"),
        pytest.param(lambda r: r.event.task_id.ClearField("version"), "event.task_id.version", id="version"),
        pytest.param(lambda r: r.event.parent_node_execution_id.ClearField("node_id"), "node_id", id="node"),
        pytest.param(lambda r: r.event.ClearField("occurred_at"), "event.occurred_at", id="time"),
        pytest.param(lambda r: r.event.ClearField("phase"), "event.phase", id="phase"),
    ],
)
def test_A_62_without(engine, started, break_it, field):
    request = engine.task(started, TaskPhase.QUEUED)
    break_it(request)
    engine.refused(request, "INVALID_ARGUMENT", field)


@pytest.mark.parametrize(
    ("rpc", "request_type"),
    [
        ("GetTaskExecution", task_execution_pb2.TaskExecutionGetRequest),
        ("GetTaskExecutionData", task_execution_pb2.TaskExecutionGetDataRequest),
    ],
)
def test_A_74_unknown_attempts(engine, api, started, rpc, request_type):
    task_id = engine.registry.id(TASK, engine.plan.name)

    def request(**changes):
        fields = {"task_id": task_id, "node_execution_id": engine.node_id(started), "retry_attempt": 0, **changes}
        return request_type(id=identifier_pb2.TaskExecutionIdentifier(**fields))

    engine.tell(engine.task(started, TaskPhase.RUNNING))
    api.call(rpc, request())
    api.refused(rpc, request(retry_attempt=3), "NOT_FOUND", "attempt 3")
    api.refused(rpc, request(node_execution_id=engine.node_id(started, "none")), "NOT_FOUND", "none")
    api.refused(rpc, request(task_id=engine.registry.id(TASK, "other")), "NOT_FOUND", "other")
    api.refused(rpc, request(task_id=None), "INVALID_ARGUMENT", "id.task_id")
    api.refused(rpc, request(node_execution_id=None), "INVALID_ARGUMENT", "id.node_execution_id")


# ---- who runs what


def test_events_for_our_own_runs_are_refused(api, http, registry, engine):
    set_engine(http, registry.project, "ALOFT")
    try:
        id = engine.new_run()
        for request in (
            engine.run(id, Phase.RUNNING),
            engine.node(id, NodePhase.QUEUED),
            engine.task(id, TaskPhase.QUEUED),
        ):
            engine.refused(request, "FAILED_PRECONDITION", "Aloft's own engine", "EXTERNAL")
    finally:
        set_engine(http, registry.project, "EXTERNAL")


def test_relaunch_and_recover_of_a_foreign_run(engine, api):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.FAILED))
    relaunch = execution_pb2.ExecutionRelaunchRequest(id=id, name=f"r{uuid.uuid4().hex[:12]}")
    recover = execution_pb2.ExecutionRecoverRequest(id=id, name=f"r{uuid.uuid4().hex[:12]}")
    for rpc, request in (("RelaunchExecution", relaunch), ("RecoverExecution", recover)):
        made = api.call(rpc, request).id
        assert engine.closure(made).phase == Phase.UNDEFINED
        engine.tell(engine.run(made, Phase.RUNNING))


def test_terminating_a_finished_foreign_run(engine, api):
    id = engine.new_run()
    engine.tell(engine.run(id, Phase.SUCCEEDED))
    request = execution_pb2.ExecutionTerminateRequest(id=id, cause="late")
    refusal = api.refused("TerminateExecution", request, "FAILED_PRECONDITION", "SUCCEEDED")
    assert failure(refusal).already_in_terminal_state.current_phase == "SUCCEEDED"


def test_A_110_a_signal_waits_to_be_asked_for(engine, api):
    id = identifier_pb2.SignalIdentifier(signal_id="go", execution_id=engine.new_run())
    ask = signal_pb2.SignalGetOrCreateRequest(id=id, type=BOOLEAN)
    assert not api.call("GetOrCreateSignal", ask).HasField("value")
    api.call("SetSignal", signal_pb2.SignalSetRequest(id=id, value=primitive(True)))
    assert api.call("GetOrCreateSignal", ask).value == primitive(True)


def test_project_settings(http, project, engine):
    status, _, body = http.send("GET", f"/api/v1/project_settings/{project}")
    assert (status, json.loads(body)) == (
        200,
        {"project": project, "org": "", "engine": "EXTERNAL", "effective_engine": "EXTERNAL"},
    )
    assert http.send("GET", "/api/v1/project_settings/none-such")[0] == 404
    assert http.send("PUT", f"/api/v1/project_settings/{project}", '{"engine": "OTHER"}')[0] == 400
