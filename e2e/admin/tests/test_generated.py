"""Random valid and near-valid requests to every rpc: never UNKNOWN, INTERNAL or a crash; what was accepted reads back equal.

ALOFT_SEED repeats a run, ALOFT_REQUESTS changes its length (10,000).
"""

import collections
import concurrent.futures
import os
import random
import re
import uuid
from collections.abc import Callable

import pytest
from conftest import new_project
from flyteidl.admin import (
    common_pb2,
    event_pb2,
    execution_pb2,
    launch_plan_pb2,
    node_execution_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    project_pb2,
    signal_pb2,
    task_execution_pb2,
    workflow_attributes_pb2,
)
from flyteidl.admin import matchable_resource_pb2 as matchable
from flyteidl.cacheservice import cacheservice_pb2
from flyteidl.core import identifier_pb2, interface_pb2
from flyteidl.datacatalog import datacatalog_pb2
from flyteidl.event import event_pb2 as core_event
from flyteidl.service import dataproxy_pb2
from google.protobuf.message import Message
from mutation import Mutator
from registry import DOMAIN, INTEGER, LAUNCH_PLAN, STRING, TASK, WORKFLOW, Registry, bound, literals, primitive, promise
from registry import task_node, task_template, workflow_template
from test_executions import run_name, wait
from transports import METHODS, Refusal

SEED = os.environ.get("ALOFT_SEED") or str(random.SystemRandom().randrange(2**32))
REQUESTS = int(os.environ.get("ALOFT_REQUESTS", "10000"))

REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}


class World:
    """What the requests are about: a finished run of a small workflow, a dataset, and a project for what would disturb the others."""

    def __init__(self, api):
        self.api = api
        self.registry = Registry(api, new_project(api))
        self.victim = Registry(api, new_project(api))
        inputs = {"x": INTEGER, "s": STRING}
        self.task = self.registry.task("seed", template=task_template("true", inputs))
        node = task_node(self.task, inputs=[promise("x", "", "x"), promise("s", "", "s")])
        self.template = workflow_template([node, task_node(self.task, "n1", [bound("x", 1), bound("s", "a")])], inputs)
        self.workflow = self.registry.workflow("seed", self.template)
        self.plan = self.registry.launch_plan("seed", self.workflow)
        self.victims_plan = self.victim.plan_of_one_task("seed")
        self.run = self.registry.execute(self.plan, run_name(), {"x": 1, "s": "a"})
        wait(api, self.run)
        self.dataset = datacatalog_pb2.DatasetID(project="p", domain="d", name=uuid.uuid4().hex, version="v")
        api.call("CreateDataset", datacatalog_pb2.CreateDatasetRequest(dataset=datacatalog_pb2.Dataset(id=self.dataset)))

    def texts(self) -> list[str]:
        run = self.run.name
        return [self.registry.project, self.victim.project, DOMAIN, "seed", "v1", "n0", "x", "s", run]

    def valid(self, fresh: str) -> dict[str, Callable[[], Message]]:
        """Makes one valid request of every rpc; `fresh` is a name that is new each time."""
        registry, run = self.registry, self.run
        named = registry.named("seed")
        scope = {"project": registry.project, "domain": registry.domain}
        node = identifier_pb2.NodeExecutionIdentifier(execution_id=run, node_id="n0")
        task = identifier_pb2.TaskExecutionIdentifier(task_id=self.task, node_execution_id=node)
        signal = identifier_pb2.SignalIdentifier(signal_id=fresh, execution_id=run)
        sort = common_pb2.Sort(key="created_at")
        page = {"limit": 3, "token": "1", "sort_by": sort}
        filtered = {**page, "filters": "ne(state,1)+contains(name,e)"}
        parameter = interface_pb2.Parameter(var=interface_pb2.Variable(type=INTEGER), default=primitive(1))
        limits = matchable.TaskResourceSpec(cpu="100", memory="1Ti")
        attributes = matchable.MatchingAttributes(task_resource_attributes=matchable.TaskResourceAttributes(limits=limits))
        of_victim = {"project": self.victim.project, "domain": DOMAIN}
        kind = {"resource_type": matchable.TASK_RESOURCE}
        artifact = datacatalog_pb2.Artifact(
            id=fresh, dataset=self.dataset, data=[datacatalog_pb2.ArtifactData(name="o", value=primitive(1))]
        )
        catalog_page = datacatalog_pb2.PaginationOptions(limit=2, token="1")
        reservation = datacatalog_pb2.ReservationID(dataset_id=self.dataset, tag_name=fresh)
        output = cacheservice_pb2.CachedOutput(output_literals=literals(o=1))
        event = core_event.WorkflowExecutionEvent(execution_id=run, phase=2, producer_id="propeller")
        execution = registry.execution_request(
            self.plan if len(fresh) % 2 else self.task, fresh, {"x": 2, "s": "b"}, labels=common_pb2.Labels(values={"k": "v"})
        )
        task_request = registry.task_request(fresh, template=task_template("true", {"x": INTEGER}, {"y": STRING}))
        task_request.spec.template.container.resources.limits.add(name=1, value="500m")
        return {
            "CreateTask": lambda: task_request,
            "GetTask": lambda: common_pb2.ObjectGetRequest(id=self.task),
            "ListTaskIds": lambda: common_pb2.NamedEntityIdentifierListRequest(**scope, **page),
            "ListTasks": lambda: common_pb2.ResourceListRequest(id=named, **{**page, "filters": "eq(version,v1)"}),
            "CreateWorkflow": lambda: registry.workflow_request(fresh, self.template),
            "GetWorkflow": lambda: common_pb2.ObjectGetRequest(id=self.workflow),
            "ListWorkflowIds": lambda: common_pb2.NamedEntityIdentifierListRequest(**scope, **page),
            "ListWorkflows": lambda: common_pb2.ResourceListRequest(id=named, **page),
            "CreateLaunchPlan": lambda: registry.launch_plan_request(
                fresh, self.workflow, default_inputs=interface_pb2.ParameterMap(parameters={"x": parameter}), fixed_inputs=literals(s="a")
            ),
            "GetLaunchPlan": lambda: common_pb2.ObjectGetRequest(id=self.plan),
            "GetActiveLaunchPlan": lambda: launch_plan_pb2.ActiveLaunchPlanRequest(id=named),
            "ListActiveLaunchPlans": lambda: launch_plan_pb2.ActiveLaunchPlanListRequest(**scope, **page),
            "ListLaunchPlanIds": lambda: common_pb2.NamedEntityIdentifierListRequest(**scope, **page),
            "ListLaunchPlans": lambda: common_pb2.ResourceListRequest(id=named, **filtered),
            "UpdateLaunchPlan": lambda: launch_plan_pb2.LaunchPlanUpdateRequest(id=self.plan, state=len(fresh) % 2),
            "CreateExecution": lambda: execution,
            "RelaunchExecution": lambda: execution_pb2.ExecutionRelaunchRequest(id=run, name=fresh),
            "RecoverExecution": lambda: execution_pb2.ExecutionRecoverRequest(id=run, name=fresh),
            "GetExecution": lambda: execution_pb2.WorkflowExecutionGetRequest(id=run),
            "UpdateExecution": lambda: execution_pb2.ExecutionUpdateRequest(id=run),
            "GetExecutionData": lambda: execution_pb2.WorkflowExecutionGetDataRequest(id=run),
            "ListExecutions": lambda: common_pb2.ResourceListRequest(id=registry.named(), **filtered),
            "TerminateExecution": lambda: execution_pb2.ExecutionTerminateRequest(id=run, cause="why"),
            "GetNodeExecution": lambda: node_execution_pb2.NodeExecutionGetRequest(id=node),
            "GetDynamicNodeWorkflow": lambda: node_execution_pb2.GetDynamicNodeWorkflowRequest(id=node),
            "ListNodeExecutions": lambda: node_execution_pb2.NodeExecutionListRequest(
                workflow_execution_id=run, filters="eq(phase,SUCCEEDED)", **page
            ),
            "ListNodeExecutionsForTask": lambda: node_execution_pb2.NodeExecutionForTaskListRequest(task_execution_id=task, **page),
            "GetNodeExecutionData": lambda: node_execution_pb2.NodeExecutionGetDataRequest(id=node),
            "RegisterProject": lambda: project_pb2.ProjectRegisterRequest(
                project=project_pb2.Project(id=fresh, name="n", description="d", labels=common_pb2.Labels(values={"a": "b"}))
            ),
            "UpdateProject": lambda: project_pb2.Project(id=self.victim.project, name="n", description="d"),
            "GetProject": lambda: project_pb2.ProjectGetRequest(id=registry.project),
            "ListProjects": lambda: project_pb2.ProjectListRequest(limit=3, token="1", sort_by=common_pb2.Sort(key="identifier")),
            "GetDomains": lambda: project_pb2.GetDomainRequest(),
            "CreateWorkflowEvent": lambda: event_pb2.WorkflowExecutionEventRequest(request_id=fresh, event=event),
            "CreateNodeEvent": lambda: event_pb2.NodeExecutionEventRequest(
                request_id=fresh, event=core_event.NodeExecutionEvent(id=node, phase=3, producer_id="propeller")
            ),
            "CreateTaskEvent": lambda: event_pb2.TaskExecutionEventRequest(
                request_id=fresh, event=core_event.TaskExecutionEvent(task_id=self.task, parent_node_execution_id=node, phase=2)
            ),
            "GetTaskExecution": lambda: task_execution_pb2.TaskExecutionGetRequest(id=task),
            "ListTaskExecutions": lambda: task_execution_pb2.TaskExecutionListRequest(node_execution_id=node, **page),
            "GetTaskExecutionData": lambda: task_execution_pb2.TaskExecutionGetDataRequest(id=task),
            "UpdateProjectDomainAttributes": lambda: project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest(
                attributes=project_domain_attributes_pb2.ProjectDomainAttributes(**of_victim, matching_attributes=attributes)
            ),
            "GetProjectDomainAttributes": lambda: project_domain_attributes_pb2.ProjectDomainAttributesGetRequest(**of_victim, **kind),
            "DeleteProjectDomainAttributes": lambda: project_domain_attributes_pb2.ProjectDomainAttributesDeleteRequest(**of_victim, **kind),
            "UpdateProjectAttributes": lambda: project_attributes_pb2.ProjectAttributesUpdateRequest(
                attributes=project_attributes_pb2.ProjectAttributes(project=self.victim.project, matching_attributes=attributes)
            ),
            "GetProjectAttributes": lambda: project_attributes_pb2.ProjectAttributesGetRequest(project=self.victim.project, **kind),
            "DeleteProjectAttributes": lambda: project_attributes_pb2.ProjectAttributesDeleteRequest(project=self.victim.project, **kind),
            "UpdateWorkflowAttributes": lambda: workflow_attributes_pb2.WorkflowAttributesUpdateRequest(
                attributes=workflow_attributes_pb2.WorkflowAttributes(**of_victim, workflow="seed", matching_attributes=attributes)
            ),
            "GetWorkflowAttributes": lambda: workflow_attributes_pb2.WorkflowAttributesGetRequest(**of_victim, workflow="seed", **kind),
            "DeleteWorkflowAttributes": lambda: workflow_attributes_pb2.WorkflowAttributesDeleteRequest(**of_victim, workflow="seed", **kind),
            "ListMatchableAttributes": lambda: matchable.ListMatchableAttributesRequest(**kind),
            "ListNamedEntities": lambda: common_pb2.NamedEntityListRequest(resource_type=TASK, **scope, **page),
            "GetNamedEntity": lambda: common_pb2.NamedEntityGetRequest(resource_type=WORKFLOW, id=named),
            "UpdateNamedEntity": lambda: common_pb2.NamedEntityUpdateRequest(
                resource_type=LAUNCH_PLAN, id=named, metadata=common_pb2.NamedEntityMetadata(description="d")
            ),
            "GetDescriptionEntity": lambda: common_pb2.ObjectGetRequest(id=self.task),
            "GetExecutionMetrics": lambda: execution_pb2.WorkflowExecutionGetMetricsRequest(id=run, depth=5),
            "GetOrCreateSignal": lambda: signal_pb2.SignalGetOrCreateRequest(id=signal, type=INTEGER),
            "ListSignals": lambda: signal_pb2.SignalListRequest(workflow_execution_id=run, **page),
            "SetSignal": lambda: signal_pb2.SignalSetRequest(id=signal, value=primitive(1)),
            "CreateUploadLocation": lambda: dataproxy_pb2.CreateUploadLocationRequest(
                **scope, content_md5=b"x" * 16, filename=fresh, filename_root="root"
            ),
            "CreateDownloadLocation": lambda: dataproxy_pb2.CreateDownloadLocationRequest(
                native_url=f"s3://aloft/uploads/{registry.project}/{DOMAIN}/a/b"
            ),
            "CreateDownloadLink": lambda: dataproxy_pb2.CreateDownloadLinkRequest(artifact_type=1, node_execution_id=node),
            "GetData": lambda: dataproxy_pb2.GetDataRequest(flyte_url=f"flyte://v1/{run.project}/{run.domain}/{run.name}/n0/i/x"),
            "CreateDataset": lambda: datacatalog_pb2.CreateDatasetRequest(
                dataset=datacatalog_pb2.Dataset(
                    id=datacatalog_pb2.DatasetID(project="p", domain="d", name=fresh, version="v"), partitionKeys=["k"]
                )
            ),
            "GetDataset": lambda: datacatalog_pb2.GetDatasetRequest(dataset=self.dataset),
            "CreateArtifact": lambda: datacatalog_pb2.CreateArtifactRequest(artifact=artifact),
            "GetArtifact": lambda: datacatalog_pb2.GetArtifactRequest(dataset=self.dataset, artifact_id=fresh),
            "AddTag": lambda: datacatalog_pb2.AddTagRequest(
                tag=datacatalog_pb2.Tag(name=fresh, artifact_id=fresh, dataset=self.dataset)
            ),
            "ListArtifacts": lambda: datacatalog_pb2.ListArtifactsRequest(dataset=self.dataset, pagination=catalog_page),
            "ListDatasets": lambda: datacatalog_pb2.ListDatasetsRequest(pagination=catalog_page),
            "UpdateArtifact": lambda: datacatalog_pb2.UpdateArtifactRequest(dataset=self.dataset, tag_name=fresh, data=artifact.data),
            "GetOrExtendReservation": lambda: datacatalog_pb2.GetOrExtendReservationRequest(reservation_id=reservation, owner_id="me"),
            "ReleaseReservation": lambda: datacatalog_pb2.ReleaseReservationRequest(reservation_id=reservation, owner_id="me"),
            "CacheService/Get": lambda: cacheservice_pb2.GetCacheRequest(key=fresh),
            "CacheService/Put": lambda: cacheservice_pb2.PutCacheRequest(key=fresh, output=output),
            "CacheService/Delete": lambda: cacheservice_pb2.DeleteCacheRequest(key=fresh),
            "CacheService/GetOrExtendReservation": lambda: cacheservice_pb2.GetOrExtendReservationRequest(key=fresh, owner_id="me"),
            "CacheService/ReleaseReservation": lambda: cacheservice_pb2.ReleaseReservationRequest(key=fresh, owner_id="me"),
        }


def read_back(api, rpc: str, sent, answer) -> None:
    """What was accepted is there, and is what was sent."""
    match rpc:
        case "CreateTask":
            found = api.call("GetTask", common_pb2.ObjectGetRequest(id=with_type(sent.id, TASK)))
            expected = without_id(sent.spec.template)
            assert without_id(found.closure.compiled_task.template) == expected
        case "CreateWorkflow":
            found = api.call("GetWorkflow", common_pb2.ObjectGetRequest(id=with_type(sent.id, WORKFLOW)))
            template = found.closure.compiled_workflow.primary.template
            assert {node.id for node in template.nodes} == {node.id for node in sent.spec.template.nodes} | {"start-node", "end-node"}
        case "CreateLaunchPlan":
            found = api.call("GetLaunchPlan", common_pb2.ObjectGetRequest(id=with_type(sent.id, LAUNCH_PLAN)))
            assert without(found.spec, "default_inputs") == without(sent.spec, "default_inputs")
        case "CreateExecution":
            found = api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=answer.id))
            assert found.spec.launch_plan.name == sent.spec.launch_plan.name
            assert dict(sent.spec.labels.values).items() <= dict(found.spec.labels.values).items()
            data = api.call("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=answer.id))
            given = sent.inputs if sent.inputs.literals else sent.spec.inputs
            assert all(data.full_inputs.literals[name] == value for name, value in given.literals.items())
        case "RegisterProject":
            found = api.call("GetProject", project_pb2.ProjectGetRequest(id=sent.project.id, org=sent.project.org))
            assert (found.name, found.description, found.labels.values) == (
                sent.project.name,
                sent.project.description,
                sent.project.labels.values,
            )
        case "UpdateNamedEntity":
            api.call("GetNamedEntity", common_pb2.NamedEntityGetRequest(resource_type=sent.resource_type, id=sent.id))
        case "CreateDataset":
            found = api.call("GetDataset", datacatalog_pb2.GetDatasetRequest(dataset=without(sent.dataset.id, "UUID")))
            assert list(found.dataset.partitionKeys) == list(sent.dataset.partitionKeys)
        case "CreateArtifact":
            request = datacatalog_pb2.GetArtifactRequest(dataset=sent.artifact.dataset, artifact_id=sent.artifact.id)
            assert list(api.call("GetArtifact", request).artifact.data) == list(sent.artifact.data)
        case "CacheService/Put":
            found = api.call("CacheService/Get", cacheservice_pb2.GetCacheRequest(key=sent.key)).output
            assert without(found, "metadata") == without(sent.output, "metadata")


def with_type(id, kind):
    copied = type(id)()
    copied.CopyFrom(id)
    copied.resource_type = kind
    return copied


def without(message, field):
    copied = type(message)()
    copied.CopyFrom(message)
    copied.ClearField(field)
    return copied


def without_id(template):
    return without(template, "id")


@pytest.mark.timeout(400)
def test_generated_requests(api, platform):
    print(f"ALOFT_SEED={SEED}")
    world = World(api)
    rpcs = sorted(world.valid("x"))
    served = {f"{method.containing_service.name}/{method.name}" for method in METHODS.values()}
    covered = {f"{METHODS[rpc].containing_service.name}/{METHODS[rpc].name}" for rpc in rpcs}
    # Those take nothing that could be wrong, or have a suite of their own.
    assert {name.rpartition("/")[2] for name in served - covered} <= {
        "GetVersion",
        "UserInfo",
        "GetOAuth2Metadata",
        "GetPublicClientConfig",
        "ListDescriptionEntities",
    }
    outcomes: collections.Counter[str] = collections.Counter()

    def send(number: int) -> str | None:
        mutator = Mutator(f"{SEED}-{number}", world.texts())
        rpc = rpcs[number % len(rpcs)]
        # Now and then a name again, for what happens then.
        fresh = f"g{number - number % 7 if number % 3 == 0 else number}-{world.run.name}"
        request = mutator.mutated(world.valid(fresh)[rpc]())
        way = api.rest if mutator.random.random() < 0.15 and api.has_route(rpc, request) else api.call
        try:
            try:
                answer = way(rpc, request)
            except Refusal as refusal:
                outcomes[refusal.code] += 1
                assert refusal.code in REFUSALS, refusal
                assert refusal.message and not re.search("postgres|sql", refusal.message, re.I), refusal
                return None
            outcomes["OK"] += 1
            read_back(api, rpc, request, answer)
        except Exception as failure:
            return f"request {number} to {rpc}: {type(failure).__name__}: {str(failure)[:600]}\n{str(request)[:1500]}"
        return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        failures = [failure for failure in pool.map(send, range(REQUESTS)) if failure]
    print(dict(outcomes))
    assert not failures, f"ALOFT_SEED={SEED}: {len(failures)} of {REQUESTS}:\n\n" + "\n\n".join(failures[:10])
    assert outcomes["OK"] > REQUESTS / 20
    assert not failed_calls(platform), f"ALOFT_SEED={SEED}"


def failed_calls(platform) -> list[str]:
    """What the platform itself logged as its own fault."""
    lines = [line for log in platform.logs() for line in log.read_text(errors="replace").splitlines()]
    return [line[:1000] for line in lines if "rpc failed" in line or re.search(r'"level":"?(error|fatal|50|60)', line)]

