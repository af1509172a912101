"""Raw flyteidl messages of tasks, workflows and launch plans, and their registration in one project and domain."""

from collections.abc import Iterable

from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from flyteidl.core import workflow_pb2 as core_workflow

from transports import Api

TASK, WORKFLOW, LAUNCH_PLAN = identifier_pb2.TASK, identifier_pb2.WORKFLOW, identifier_pb2.LAUNCH_PLAN
DOMAIN = "development"

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)
BOOLEAN = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
DATETIME = types_pb2.LiteralType(simple=types_pb2.DATETIME)


def variables(types: dict) -> interface_pb2.VariableMap:
    return interface_pb2.VariableMap(variables={name: interface_pb2.Variable(type=type) for name, type in types.items()})


def interface(inputs: dict | None = None, outputs: dict | None = None) -> interface_pb2.TypedInterface:
    return interface_pb2.TypedInterface(inputs=variables(inputs or {}), outputs=variables(outputs or {}))


def primitive(value) -> literals_pb2.Literal:
    field = {bool: "boolean", int: "integer", str: "string_value", float: "float_value"}[type(value)]
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(**{field: value})))


def literals(**values) -> literals_pb2.LiteralMap:
    """Of Python values; a Literal is taken as it is."""
    return literals_pb2.LiteralMap(
        literals={name: value if isinstance(value, literals_pb2.Literal) else primitive(value) for name, value in values.items()}
    )


def promise(variable: str, node: str, output: str) -> literals_pb2.Binding:
    reference = types_pb2.OutputReference(node_id=node, var=output)
    return literals_pb2.Binding(var=variable, binding=literals_pb2.BindingData(promise=reference))


def bound(variable: str, value) -> literals_pb2.Binding:
    return literals_pb2.Binding(var=variable, binding=literals_pb2.BindingData(scalar=primitive(value).scalar))


def task_template(script: str = "true", inputs: dict | None = None, outputs: dict | None = None, **fields) -> tasks_pb2.TaskTemplate:
    """A task that runs `sh -c script` on the local backend; `fields` are of TaskTemplate."""
    given = {
        "type": "raw-container",
        "metadata": tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(type=1, version="1", flavor="e2e")),
        "container": tasks_pb2.Container(image="local", command=["sh", "-c"], args=[script]),
    }
    return tasks_pb2.TaskTemplate(interface=interface(inputs, outputs), **{**given, **fields})


def task_node(task: identifier_pb2.Identifier, node: str = "n0", inputs: Iterable[literals_pb2.Binding] = (), **fields):
    return core_workflow.Node(id=node, task_node=core_workflow.TaskNode(reference_id=task), inputs=inputs, **fields)


def workflow_template(nodes, inputs: dict | None = None, outputs: dict | None = None, bindings=(), **fields):
    """`bindings` are those of the workflow's outputs."""
    return core_workflow.WorkflowTemplate(interface=interface(inputs, outputs), nodes=nodes, outputs=bindings, **fields)


class Registry:
    """What it registers is in `project` and `domain`. Raises Refusal."""

    def __init__(self, api: Api, project: str, domain: str = DOMAIN):
        self.api, self.project, self.domain = api, project, domain

    def id(self, kind: int, name: str, version: str = "v1") -> identifier_pb2.Identifier:
        return identifier_pb2.Identifier(resource_type=kind, project=self.project, domain=self.domain, name=name, version=version)

    def named(self, name: str = "") -> common_pb2.NamedEntityIdentifier:
        return common_pb2.NamedEntityIdentifier(project=self.project, domain=self.domain, name=name)

    def execution_id(self, name: str) -> identifier_pb2.WorkflowExecutionIdentifier:
        return identifier_pb2.WorkflowExecutionIdentifier(project=self.project, domain=self.domain, name=name)

    # Requests, for those who want to change them before they are sent.

    def task_request(self, name: str, version: str = "v1", template: tasks_pb2.TaskTemplate | None = None):
        id = self.id(TASK, name, version)
        spec = task_pb2.TaskSpec(template=template or task_template())
        spec.template.id.CopyFrom(id)
        return task_pb2.TaskCreateRequest(id=id, spec=spec)

    def workflow_request(self, name: str, template: core_workflow.WorkflowTemplate, version: str = "v1"):
        id = self.id(WORKFLOW, name, version)
        spec = workflow_pb2.WorkflowSpec(template=template)
        spec.template.id.CopyFrom(id)
        return workflow_pb2.WorkflowCreateRequest(id=id, spec=spec)

    def launch_plan_request(self, name: str, workflow: identifier_pb2.Identifier, version: str = "v1", **spec):
        """`spec`: fields of LaunchPlanSpec."""
        given = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow, **spec)
        return launch_plan_pb2.LaunchPlanCreateRequest(id=self.id(LAUNCH_PLAN, name, version), spec=given)

    def execution_request(self, plan: identifier_pb2.Identifier, name: str = "", inputs: dict | None = None, **spec):
        """`inputs`: Python values; `spec`: fields of ExecutionSpec."""
        return execution_pb2.ExecutionCreateRequest(
            project=self.project,
            domain=self.domain,
            name=name,
            spec=execution_pb2.ExecutionSpec(launch_plan=plan, **spec),
            inputs=literals(**(inputs or {})),
        )

    # Registered, with their identifier as the answer.

    def task(self, name: str, version: str = "v1", template: tasks_pb2.TaskTemplate | None = None):
        request = self.task_request(name, version, template)
        self.api.call("CreateTask", request)
        return request.id

    def workflow(self, name: str, template: core_workflow.WorkflowTemplate, version: str = "v1"):
        request = self.workflow_request(name, template, version)
        self.api.call("CreateWorkflow", request)
        return request.id

    def launch_plan(self, name: str, workflow: identifier_pb2.Identifier, version: str = "v1", **spec):
        request = self.launch_plan_request(name, workflow, version, **spec)
        self.api.call("CreateLaunchPlan", request)
        return request.id

    def plan_of_one_task(self, name: str, version: str = "v1", script: str = "true", inputs: dict | None = None, **spec):
        """Task, workflow with it as node `n0`, and launch plan, all under that name; the workflow's inputs are the task's."""
        task = self.task(name, version, task_template(script, inputs))
        node = task_node(task, inputs=[promise(one, "", one) for one in inputs or {}])
        workflow = self.workflow(name, workflow_template([node], inputs), version)
        return self.launch_plan(name, workflow, version, **spec)

    def execute(self, plan: identifier_pb2.Identifier, name: str = "", inputs: dict | None = None, **spec):
        return self.api.call("CreateExecution", self.execution_request(plan, name, inputs, **spec)).id
