"""64 clients at once on the same names: no duplicate, no lost update, no deadlock answered, no run without a row or a row without a run."""

import collections
import concurrent.futures
import itertools
import threading
import time

import grpc
import pytest
from conftest import new_project
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2, project_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.datacatalog import datacatalog_pb2
from registry import DOMAIN, TASK, WORKFLOW, Registry, primitive, task_node, task_template, workflow_template
from transports import Api, Refusal

CLIENTS = 64
Phase = core_execution.WorkflowExecution
TERMINAL = {Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT}


@pytest.fixture(scope="module")
def registry(api) -> Registry:
    return Registry(api, new_project(api))


@pytest.fixture(scope="module")
def clients(platform, http):
    """Each with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(platform.grpc, options=options) for _ in range(CLIENTS)]
    yield [Api(channel, http) for channel in channels]
    for channel in channels:
        channel.close()


def at_once(clients, work):
    """`work(client, its number)` of all, begun together; the answers, or the refusals."""
    barrier = threading.Barrier(len(clients))

    def go(number):
        barrier.wait()
        try:
            return work(clients[number], number)
        except Refusal as refusal:
            return refusal

    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(go, range(len(clients))))


def codes(answers) -> collections.Counter:
    return collections.Counter(one.code if isinstance(one, Refusal) else "OK" for one in answers)


def test_one_of_64_registers_the_same_task(api, registry, clients, name):
    request = registry.task_request(name)
    assert codes(at_once(clients, lambda client, _: client.call("CreateTask", request))) == {"OK": 1, "ALREADY_EXISTS": CLIENTS - 1}


def test_one_of_64_registers_another_task_under_the_same_version(api, registry, clients, name):
    requests = [registry.task_request(name, template=task_template(f"echo {i}")) for i in range(CLIENTS)]
    answers = at_once(clients, lambda client, i: client.call("CreateTask", requests[i]))
    assert codes(answers) == {"OK": 1, "INVALID_ARGUMENT": CLIENTS - 1}
    winner = next(i for i, answer in enumerate(answers) if not isinstance(answer, Refusal))
    kept = api.call("GetTask", common_pb2.ObjectGetRequest(id=requests[0].id)).closure.compiled_task.template
    assert list(kept.container.args) == [f"echo {winner}"]


def test_one_of_64_registers_a_workflow_and_its_closure_is_the_winners(api, registry, clients, name):
    task = registry.task(name)
    requests = [registry.workflow_request(name, workflow_template([task_node(task, f"n{i}")])) for i in range(CLIENTS)]
    answers = at_once(clients, lambda client, i: client.call("CreateWorkflow", requests[i]))
    assert codes(answers) == {"OK": 1, "INVALID_ARGUMENT": CLIENTS - 1}
    winner = next(i for i, answer in enumerate(answers) if not isinstance(answer, Refusal))
    compiled = api.call("GetWorkflow", common_pb2.ObjectGetRequest(id=registry.id(WORKFLOW, name))).closure.compiled_workflow
    assert {node.id for node in compiled.primary.template.nodes} == {"start-node", "end-node", f"n{winner}"}


def test_one_of_64_registers_the_same_project(clients, name):
    id = name.replace(".", "-")
    request = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=id, name=id))
    answers = at_once(clients, lambda client, _: client.call("RegisterProject", request))
    assert codes(answers) == {"OK": 1, "ALREADY_EXISTS": CLIENTS - 1}


def test_64_versions_at_once_are_all_there(api, registry, clients, name):
    answers = at_once(clients, lambda client, i: Registry(client, registry.project).task(name, f"v{i}"))
    assert codes(answers) == {"OK": CLIENTS}
    request = common_pb2.ResourceListRequest(id=registry.named(name), limit=1000)
    assert {task.id.version for task in api.call("ListTasks", request).tasks} == {f"v{i}" for i in range(CLIENTS)}


def test_activation_has_one_winner(api, registry, clients, name):
    """A-33: while 64 clients activate and deactivate eight versions, a reader never sees two active ones."""
    workflow = registry.workflow(name, workflow_template([task_node(registry.task(name))]))
    plans = [registry.launch_plan(name, workflow, f"v{i}") for i in range(8)]
    over = threading.Event()
    seen = []
    only_active = common_pb2.ResourceListRequest(id=registry.named(name), limit=10, filters="eq(state,1)")

    def watch():
        while not over.is_set():
            seen.append(len(api.call("ListLaunchPlans", only_active).launch_plans))

    def flip(client, number):
        for turn in range(4):
            state = launch_plan_pb2.INACTIVE if (number + turn) % 5 == 0 else launch_plan_pb2.ACTIVE
            plan = plans[(number + turn) % 8]
            client.call("UpdateLaunchPlan", launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=state))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answers = at_once(clients, flip)
    finally:
        over.set()
        watcher.join()
    assert codes(answers) == {"OK": CLIENTS}
    assert set(seen) <= {0, 1}
    # The last word counts.
    api.call("UpdateLaunchPlan", launch_plan_pb2.LaunchPlanUpdateRequest(id=plans[3], state=launch_plan_pb2.ACTIVE))
    assert [plan.id for plan in api.call("ListLaunchPlans", only_active).launch_plans] == [plans[3]]
    active = launch_plan_pb2.ActiveLaunchPlanRequest(id=registry.named(name))
    assert api.call("GetActiveLaunchPlan", active).id == plans[3]


def all_runs(api, registry):
    request = common_pb2.ResourceListRequest(id=registry.named(), limit=100)
    token = ""
    while True:
        request.token = token
        answer = api.call("ListExecutions", request)
        yield from answer.executions
        token = answer.token
        if not token:
            return


def wait_for_all(api, registry, seconds: float = 90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        runs = {run.id.name: run for run in all_runs(api, registry)}
        open_ones = [name for name, run in runs.items() if run.closure.phase not in TERMINAL]
        if not open_ones:
            return runs
        time.sleep(0.2)
    raise AssertionError(f"runs that never ended: {open_ones[:10]}")


def test_each_name_is_one_run_and_every_run_ends(api, clients, name):
    """64 clients start the same 32 names: 32 rows, each of a run that comes to its end (so none is a row without a run)."""
    registry = Registry(api, new_project(api))
    plan = registry.plan_of_one_task(name)
    requests = [registry.execution_request(plan, f"run{i}") for i in range(32)]

    def launch(client, number):
        won = 0
        for i in itertools.chain(range(number % 32, 32), range(number % 32)):
            try:
                client.call("CreateExecution", requests[i])
                won += 1
            except Refusal as refusal:
                assert refusal.code == "ALREADY_EXISTS", refusal
        return won

    won = at_once(clients, launch)
    assert sum(won) == 32, won
    runs = wait_for_all(api, registry)
    assert set(runs) == {f"run{i}" for i in range(32)}
    assert {run.closure.phase for run in runs.values()} == {Phase.SUCCEEDED}


def test_terminate_by_all_at_once(api, clients, name):
    """Launch and terminate race: every run ends, and ends once."""
    registry = Registry(api, new_project(api))
    plan = registry.plan_of_one_task(name, script="sleep 30")

    def work(client, number):
        run = registry.execution_id(f"run{number % 16}")
        outcomes = []
        for rpc, request in [
            ("CreateExecution", registry.execution_request(plan, run.name)),
            ("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=run, cause=f"client {number}")),
            ("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=run, cause=f"client {number}, again")),
        ]:
            try:
                client.call(rpc, request)
                outcomes.append("OK")
            except Refusal as refusal:
                outcomes.append(refusal.code)
        return outcomes

    outcomes = at_once(clients, work)
    for created, first, second in outcomes:
        assert created in ("OK", "ALREADY_EXISTS")
        assert {first, second} <= {"OK", "FAILED_PRECONDITION"}
    assert sum(one[0] == "OK" for one in outcomes) == 16
    runs = wait_for_all(api, registry)
    assert len(runs) == 16 and {run.closure.phase for run in runs.values()} == {Phase.ABORTED}
    for run in runs.values():
        assert run.closure.abort_metadata.cause.startswith("client ")


def test_K_15_a_limit_of_3_holds_against_64(api, clients, name):
    registry = Registry(api, new_project(api))
    policy = launch_plan_pb2.ConcurrencyPolicy(max=3, behavior="CONCURRENCY_LIMIT_BEHAVIOR_SKIP")
    plan = registry.plan_of_one_task(name, script="sleep 30", concurrency_policy=policy)
    answers = at_once(clients, lambda client, i: client.call("CreateExecution", registry.execution_request(plan, f"run{i}")))
    assert codes(answers) == {"OK": 3, "ALREADY_EXISTS": CLIENTS - 3}
    for run in list(all_runs(api, registry)):
        api.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=run.id))
    assert len(wait_for_all(api, registry)) == 3


def test_64_single_task_launches_make_one_generated_workflow(api, clients, name):
    """A-42: the first launches race for `.flytegen`."""
    registry = Registry(api, new_project(api))
    task = registry.task(name)
    answers = at_once(clients, lambda client, i: client.call("CreateExecution", registry.execution_request(task, f"run{i}")))
    assert codes(answers) == {"OK": CLIENTS}
    request = common_pb2.ResourceListRequest(id=registry.named(f".flytegen.{name}"), limit=10)
    assert len(api.call("ListWorkflows", request).workflows) == 1
    assert len(api.call("ListLaunchPlans", request).launch_plans) == 1
    assert {run.closure.phase for run in wait_for_all(api, registry).values()} == {Phase.SUCCEEDED}


def test_archive_and_activate_of_one_run_loses_nothing(api, registry, clients, name):
    run = registry.execute(registry.plan_of_one_task(name))

    def flip(client, number):
        return client.call("UpdateExecution", execution_pb2.ExecutionUpdateRequest(id=run, state=number % 2))

    assert codes(at_once(clients, flip)) == {"OK": CLIENTS}
    api.call("UpdateExecution", execution_pb2.ExecutionUpdateRequest(id=run, state=1))
    deadline = time.monotonic() + 60
    while (closure := get(api, run).closure).phase not in TERMINAL and time.monotonic() < deadline:
        time.sleep(0.1)
    # Neither the archiving nor the end of the run has overwritten the other.
    assert closure.phase == Phase.SUCCEEDED and closure.state_change_details.state == 1


def get(api, run):
    return api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=run))


def test_names_by_64_updates_at_once(api, registry, clients, name):
    registry.task(name)

    def describe(client, number):
        metadata = common_pb2.NamedEntityMetadata(description=f"by {number}")
        request = common_pb2.NamedEntityUpdateRequest(resource_type=TASK, id=registry.named(name), metadata=metadata)
        return client.call("UpdateNamedEntity", request)

    assert codes(at_once(clients, describe)) == {"OK": CLIENTS}
    request = common_pb2.NamedEntityGetRequest(resource_type=TASK, id=registry.named(name))
    assert api.call("GetNamedEntity", request).metadata.description.startswith("by ")


def test_one_of_64_holds_the_reservation_and_one_makes_the_dataset(api, clients, name):
    dataset = datacatalog_pb2.DatasetID(project="p", domain=DOMAIN, name=name, version="v")
    create = datacatalog_pb2.CreateDatasetRequest(dataset=datacatalog_pb2.Dataset(id=dataset))
    assert codes(at_once(clients, lambda client, _: client.call("CreateDataset", create))) == {"OK": 1, "ALREADY_EXISTS": CLIENTS - 1}
    data = [datacatalog_pb2.ArtifactData(name="o", value=primitive(1))]
    artifact = datacatalog_pb2.CreateArtifactRequest(artifact=datacatalog_pb2.Artifact(id="one", dataset=dataset, data=data))
    assert codes(at_once(clients, lambda client, _: client.call("CreateArtifact", artifact)))["OK"] == 1

    def reserve(client, number):
        reservation = datacatalog_pb2.ReservationID(dataset_id=dataset, tag_name="t")
        request = datacatalog_pb2.GetOrExtendReservationRequest(reservation_id=reservation, owner_id=f"owner {number}")
        return client.call("GetOrExtendReservation", request).reservation.owner_id

    assert len(set(at_once(clients, reserve))) == 1
