"""Calls to the control plane from outside its process, by Flyte's own stubs: 16 in flight.

Reads lines `<rpc> <calls>` and answers each, when its calls are done, with a line of JSON:
`{"rpc": …, "calls": …, "seconds": …, "p50_ms": …, "p99_ms": …}`. A call that fails ends it.
"""

import asyncio
import itertools
import json
import sys
import time
import uuid

import grpc
from flyteidl.admin import common_pb2, event_pb2, execution_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import execution_pb2 as core
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from flyteidl.core import workflow_pb2 as core_workflow
from flyteidl.event import event_pb2 as told
from flyteidl.service import admin_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

IN_FLIGHT = 16
DOMAIN = "development"
#: Nodes of the workflow that is registered and launched.
NODES = 3

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
VARIABLE = interface_pb2.VariableMap(variables={"x": interface_pb2.Variable(type=INTEGER)})
INTERFACE = interface_pb2.TypedInterface(inputs=VARIABLE, outputs=VARIABLE)
INPUTS = literals_pb2.LiteralMap(
    literals={"x": literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=7)))}
)


def now() -> Timestamp:
    moment = Timestamp()
    moment.GetCurrentTime()
    return moment


def promise(node: str) -> literals_pb2.Binding:
    reference = types_pb2.OutputReference(node_id=node, var="x")
    return literals_pb2.Binding(var="x", binding=literals_pb2.BindingData(promise=reference))


class Load:
    def __init__(self, channel: grpc.aio.Channel, project: str):
        self.admin = admin_pb2_grpc.AdminServiceStub(channel)
        self.project = project
        self.numbers = itertools.count()
        self.launched: list[identifier_pb2.WorkflowExecutionIdentifier] = []
        #: Taken by those whose calls change a run, each once.
        self.fresh = iter(())

    def id(self, kind: int, name: str, version: str = "v1") -> identifier_pb2.Identifier:
        return identifier_pb2.Identifier(resource_type=kind, project=self.project, domain=DOMAIN, name=name, version=version)

    def new_name(self, what: str) -> str:
        return f"load.{what}.{next(self.numbers)}.{uuid.uuid4().hex[:8]}"

    async def prepare(self):
        self.task = self.id(identifier_pb2.TASK, "load.task")
        self.workflow = self.id(identifier_pb2.WORKFLOW, "load.workflow")
        self.plan = self.id(identifier_pb2.LAUNCH_PLAN, "load.plan")
        await self.admin.CreateTask(self.task_request(self.task))
        await self.admin.CreateWorkflow(self.workflow_request(self.workflow))
        await self.admin.CreateLaunchPlan(self.plan_request(self.plan))

    def task_request(self, id):
        template = tasks_pb2.TaskTemplate(
            id=id,
            type="python-task",
            metadata=tasks_pb2.TaskMetadata(
                runtime=tasks_pb2.RuntimeMetadata(type=1, version="1.16.0", flavor="python"),
                retries=literals_pb2.RetryStrategy(retries=2),
            ),
            interface=INTERFACE,
            container=tasks_pb2.Container(
                image="registry.example.com/team/image:v1",
                args=["pyflyte-execute", "--inputs", "{{.input}}", "--output-prefix", "{{.outputPrefix}}", "--", id.name],
                resources=tasks_pb2.Resources(requests=[tasks_pb2.Resources.ResourceEntry(name=tasks_pb2.Resources.CPU, value="1")]),
            ),
        )
        return task_pb2.TaskCreateRequest(id=id, spec=task_pb2.TaskSpec(template=template))

    def workflow_request(self, id):
        nodes = [
            core_workflow.Node(
                id=f"n{i}",
                task_node=core_workflow.TaskNode(reference_id=self.task),
                inputs=[promise(f"n{i - 1}" if i > 0 else "")],
            )
            for i in range(NODES)
        ]
        template = core_workflow.WorkflowTemplate(id=id, interface=INTERFACE, nodes=nodes, outputs=[promise(f"n{NODES - 1}")])
        return workflow_pb2.WorkflowCreateRequest(id=id, spec=workflow_pb2.WorkflowSpec(template=template))

    def plan_request(self, id):
        return launch_plan_pb2.LaunchPlanCreateRequest(id=id, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=self.workflow))

    # One unit of each rpc: its requests, which follow each other.

    def CreateTask(self):
        return [self.task_request(self.id(identifier_pb2.TASK, self.new_name("task")))]

    def GetTask(self):
        return [common_pb2.ObjectGetRequest(id=self.task)]

    def ListTasks_20(self):
        return [self.list_request(20)]

    def CreateWorkflow(self):
        return [self.workflow_request(self.id(identifier_pb2.WORKFLOW, self.new_name("workflow")))]

    def CreateLaunchPlan(self):
        return [self.plan_request(self.id(identifier_pb2.LAUNCH_PLAN, self.new_name("plan")))]

    def CreateExecution(self):
        name = f"e{uuid.uuid4().hex[:18]}"
        self.launched.append(identifier_pb2.WorkflowExecutionIdentifier(project=self.project, domain=DOMAIN, name=name))
        return [
            execution_pb2.ExecutionCreateRequest(
                project=self.project,
                domain=DOMAIN,
                name=name,
                spec=execution_pb2.ExecutionSpec(launch_plan=self.plan),
                inputs=INPUTS,
            )
        ]

    def GetExecution(self):
        at = next(self.numbers) % len(self.launched)
        return [execution_pb2.WorkflowExecutionGetRequest(id=self.launched[at])]

    def ListExecutions_20(self):
        return [self.list_request(20)]

    def ListExecutions_100(self):
        return [self.list_request(100)]

    def list_request(self, limit: int):
        sort = common_pb2.Sort(key="created_at", direction=common_pb2.Sort.DESCENDING)
        scope = common_pb2.NamedEntityIdentifier(project=self.project, domain=DOMAIN)
        return common_pb2.ResourceListRequest(id=scope, limit=limit, sort_by=sort)

    def CreateWorkflowEvent(self):
        """A run from its beginning to its end."""
        id = next(self.fresh)
        phases = [core.WorkflowExecution.QUEUED, core.WorkflowExecution.RUNNING, core.WorkflowExecution.SUCCEEDING]
        return [
            event_pb2.WorkflowExecutionEventRequest(
                event=told.WorkflowExecutionEvent(execution_id=id, producer_id="load", phase=phase, occurred_at=now())
            )
            for phase in [*phases, core.WorkflowExecution.SUCCEEDED]
        ]

    def CreateNodeEvent(self):
        """A node from its beginning to its end."""
        number = next(self.numbers)
        id = identifier_pb2.NodeExecutionIdentifier(
            node_id=f"n{number}", execution_id=self.launched[number % len(self.launched)]
        )
        phases = [core.NodeExecution.QUEUED, core.NodeExecution.RUNNING, core.NodeExecution.SUCCEEDED]
        return [
            event_pb2.NodeExecutionEventRequest(
                event=told.NodeExecutionEvent(
                    id=id,
                    phase=phase,
                    occurred_at=now(),
                    spec_node_id=id.node_id,
                    input_uri=f"s3://aloft/metadata/propeller/{id.execution_id.name}/{id.node_id}/data/inputs.pb",
                )
            )
            for phase in phases
        ]

    async def run(self, what: str, calls: int) -> dict:
        """`what`: an rpc, after `_` what of it."""
        if what == "CreateWorkflowEvent":
            self.fresh = iter(self.launched)
        rpc = getattr(self.admin, what.partition("_")[0])
        left = calls
        times: list[float] = []

        async def worker():
            nonlocal left
            while left > 0:
                for request in getattr(self, what)():
                    left -= 1
                    began = time.perf_counter()
                    await rpc(request)
                    times.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        times.sort()
        if what == "CreateWorkflowEvent":
            # These are over; events of nodes go to others.
            del self.launched[: (len(times) + 3) // 4 + IN_FLIGHT]
        return {
            "rpc": what,
            "calls": len(times),
            "seconds": time.perf_counter() - began,
            "p50_ms": times[len(times) // 2] * 1000,
            "p99_ms": times[len(times) * 99 // 100] * 1000,
        }


async def main(address: str, project: str):
    async with grpc.aio.insecure_channel(address) as channel:
        load = Load(channel, project)
        await load.prepare()
        print(json.dumps({"rpc": "ready"}), flush=True)
        for line in sys.stdin:
            what, calls = line.split()
            print(json.dumps(await load.run(what, int(calls))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
