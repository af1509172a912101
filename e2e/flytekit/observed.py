"""A run as the platform recorded it, read through AdminService by stock flytekit's raw client; phases by their names."""

import time
import typing
from datetime import datetime, timezone

from flyteidl.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import catalog_pb2, execution_pb2 as core
from flytekit.remote import FlyteRemote

PAGE = 100


def until(look: typing.Callable[[], typing.Any], what: str, seconds: float = 120):
    """The first answer of `look` that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def moment(stamp) -> datetime:
    return stamp.ToDatetime(tzinfo=timezone.utc)


class Attempt:
    """One task execution."""

    def __init__(self, message):
        self.message, closure = message, message.closure
        self.id = message.id
        self.number = message.id.retry_attempt
        self.phase = core.TaskExecution.Phase.Name(closure.phase)
        self.code, self.text = closure.error.code, closure.error.message
        self.kind = core.ExecutionError.ErrorKind.Name(closure.error.kind)
        self.started, self.seconds = moment(closure.started_at), closure.duration.ToTimedelta().total_seconds()
        self.reasons = [reason.message for reason in closure.reasons]
        self.items = [core.TaskExecution.Phase.Name(item.phase) for item in closure.metadata.external_resources]


class Node:
    """One node execution."""

    def __init__(self, raw, message):
        self.raw, self.message, closure = raw, message, message.closure
        self.id, self.spec = message.id.node_id, message.metadata.spec_node_id
        self.phase = core.NodeExecution.Phase.Name(closure.phase)
        self.code, self.text = closure.error.code, closure.error.message
        self.queued, self.started = moment(closure.created_at), moment(closure.started_at)
        self.ended, self.seconds = moment(closure.updated_at), closure.duration.ToTimedelta().total_seconds()
        self.cache = catalog_pb2.CatalogCacheStatus.Name(closure.task_node_metadata.cache_status)
        self.cache_source = closure.task_node_metadata.catalog_key.source_task_execution.node_execution_id
        self.child = closure.workflow_node_metadata.executionId

    @property
    def attempts(self) -> list[Attempt]:
        request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=self.message.id, limit=PAGE)
        answer = self.raw.list_task_executions_paginated(request)
        return sorted((Attempt(task) for task in answer.task_executions), key=lambda attempt: attempt.number)


class Run:
    """One execution of a workflow; `ended` waits for it."""

    def __init__(self, remote: FlyteRemote, name: str):
        self.remote, self.raw, self.name = remote, remote.client.raw, name
        self.id = remote.fetch_execution(name=name).id.to_flyte_idl()

    @property
    def execution(self):
        return self.raw.get_execution(execution_pb2.WorkflowExecutionGetRequest(id=self.id))

    @property
    def phase(self) -> str:
        return core.WorkflowExecution.Phase.Name(self.execution.closure.phase)

    @property
    def error(self):
        return self.execution.closure.error

    @property
    def kind(self) -> str:
        return core.ExecutionError.ErrorKind.Name(self.error.kind)

    def ended(self) -> str:
        """Its phase at the end."""
        over = ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
        return until(lambda: self.phase in over and self.phase, f"the end of {self.name}")

    @property
    def outputs(self):
        """As flytekit reads them; fails with the run's error if it has none."""
        assert self.ended() == "SUCCEEDED", self.error.message
        return self.remote.sync_execution(self.remote.fetch_execution(name=self.name)).outputs

    def nodes(self, parent: str = "") -> dict[str, Node]:
        """Those of one level: the top one's, or a parent's."""
        request = node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id=self.id, limit=PAGE, unique_parent_id=parent
        )
        found = [Node(self.raw, node) for node in self.raw.list_node_executions_paginated(request).node_executions]
        return {node.id: node for node in found}

    def signals(self) -> set[str]:
        return {signal.id.signal_id for signal in self.remote.list_signals(self.name)}
