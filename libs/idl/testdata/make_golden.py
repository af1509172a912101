"""Makes golden.json: entities as stock flytekit encodes them, with their canonical JSON by Google's protobuf runtime.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install flytekit==1.16.31 pandas pyarrow
    /tmp/venv/bin/python libs/idl/testdata/make_golden.py

The tests of libs/idl, libs/literals and libs/compiler read the result. What is made here doesn't depend on time, machine or
hash seed, so a second run gives the same file.
"""

import sys

if __name__ == "__main__":
    # Tasks are named after the module that they're in, which has to be an importable one.
    sys.dont_write_bytecode = True
    import make_golden  # noqa: F401

    sys.exit(0)

import base64
import datetime as dt
import enum
import json
import os
import typing
from collections import OrderedDict
from dataclasses import dataclass, field

import msgpack
import pandas as pd
from flyteidl.admin import (
    cluster_assignment_pb2,
    common_pb2,
    event_pb2,
    execution_pb2,
    launch_plan_pb2,
    matchable_resource_pb2,
    node_execution_pb2,
    project_pb2,
    signal_pb2,
    task_execution_pb2,
    workflow_pb2,
)
from flyteidl.core import (
    catalog_pb2,
    compiler_pb2,
    dynamic_job_pb2,
    errors_pb2,
    execution_pb2 as core_execution_pb2,
    identifier_pb2,
    literals_pb2,
    tasks_pb2,
    types_pb2,
)
from flyteidl.datacatalog import datacatalog_pb2
from flyteidl.event import event_pb2 as core_event_pb2
from google.protobuf import duration_pb2, json_format, struct_pb2, timestamp_pb2, wrappers_pb2

from flytekit import (
    ContainerTask,
    Email,
    FixedRate,
    LaunchPlan,
    PagerDuty,
    Resources,
    Secret,
    Slack,
    CronSchedule,
    WorkflowFailurePolicy,
    approve,
    conditional,
    dynamic,
    map_task,
    reference_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from flytekit.configuration import FastSerializationSettings, Image, ImageConfig, SerializationSettings
from flytekit.core.array_node import array_node
from flytekit.core.base_sql_task import SQLTask
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.core.task import Echo
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.extras.accelerators import A100
from flytekit.extras.tasks.shell import OutputLocation, ShellTask
from flytekit.models import security
from flytekit.models.common import Annotations, Labels
from flytekit.tools.translator import get_serializable
from flytekit.types.directory import FlyteDirectory
from flytekit.types.error.error import FlyteError
from flytekit.types.file import CSVFile, FlyteFile
from flytekit.types.schema import FlyteSchema
from flytekit.types.structured.structured_dataset import StructuredDataset

settings = SerializationSettings(
    project="flytesnacks",
    domain="development",
    version="v1",
    env={"MODE": "golden", "EMPTY": ""},
    image_config=ImageConfig(default_image=Image(name="default", fqn="ghcr.io/flyteorg/flytekit", tag="py3.11-1.16.31")),
)
fast_settings = settings.new_builder().with_fast_serialization_settings(
    FastSerializationSettings(enabled=True, destination_dir="/root", distribution_location="s3://aloft/fast/abc.tar.gz")
).build()

golden: typing.List[dict] = []
compilable: typing.List[dict] = []


def b64(message) -> str:
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()


def add(name, message, raw: typing.Optional[bytes] = None):
    encoded = raw if raw is not None else message.SerializeToString(deterministic=True)
    assert name not in {item["name"] for item in golden}, name
    golden.append(
        {
            "name": name,
            "type": message.DESCRIPTOR.full_name,
            "bytes": base64.b64encode(encoded).decode(),
            "json": json_format.MessageToDict(message),
        }
    )


def add_entity(name, entity, with_settings=settings):
    entities: OrderedDict = OrderedDict()
    spec = get_serializable(entities, with_settings, entity)
    add(name, spec.to_flyte_idl())
    return entities, spec


def add_workflow(name, entity):
    """A workflow as golden entity, and with all that its compilation needs."""
    entities, spec = add_entity(name, entity)
    idl = spec.to_flyte_idl()
    tasks, plans = [], []
    for other in entities.values():
        if other is None or not hasattr(other, "to_flyte_idl"):
            continue
        message = other.to_flyte_idl()
        kind = message.DESCRIPTOR.full_name
        if kind == "flyteidl.admin.TaskSpec":
            tasks.append(b64(message.template))
        if kind == "flyteidl.admin.LaunchPlan":
            plans.append(b64(message))
    compilable.append(
        {
            "name": name,
            "template": b64(idl.template),
            "subWorkflows": [b64(sub) for sub in idl.sub_workflows],
            "tasks": tasks,
            "launchPlans": plans,
        }
    )


# ---- types of values -------------------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Inner:
    depth: int = 3
    rate: float = 0.5


@dataclass
class Config:
    name: str = "model"
    layers: typing.List[int] = field(default_factory=lambda: [1, 2])
    inner: Inner = field(default_factory=Inner)
    tags: typing.Dict[str, str] = field(default_factory=dict)
    maybe: typing.Optional[int] = None
    color: Color = Color.RED


# ---- tasks -----------------------------------------------------------------------------------------------------------


@task
def hello(name: str = "world") -> str:
    return f"hello {name}"


@task(
    cache=True,
    cache_version="1.0",
    cache_serialize=True,
    cache_ignore_input_vars=("b",),
    retries=3,
    timeout=dt.timedelta(minutes=5),
    interruptible=True,
    deprecated="use add2",
)
def add_cached(a: int, b: int) -> int:
    return a + b


@task(
    requests=Resources(cpu="500m", mem="1Gi", gpu="1", ephemeral_storage="2Gi"),
    limits=Resources(cpu="2", mem="2Gi", gpu="1"),
    environment={"KEY": "value", "UNICODE": "grüße ✓"},
    secret_requests=[Secret(group="db", key="password", mount_requirement=Secret.MountType.ENV_VAR)],
    accelerator=A100,
    shared_memory="512Mi",
    enable_deck=True,
)
def heavy(config: Config, files: typing.List[FlyteFile]) -> typing.Tuple[Config, FlyteDirectory]:
    return config, FlyteDirectory("/tmp")


@task
def every_type(
    i: int,
    f: float,
    s: str,
    b: bool,
    d: dt.datetime,
    t: dt.timedelta,
    e: Color,
    u: typing.Union[int, str],
    o: typing.Optional[typing.List[int]],
    l: typing.List[typing.Dict[str, float]],
    m: typing.Dict[str, typing.List[Color]],
    c: Config,
    any_dict: dict,
    file: FlyteFile,
    csv: CSVFile,
    folder: FlyteDirectory,
    frame: pd.DataFrame,
    dataset: StructuredDataset,
    schema: FlyteSchema,
) -> None:
    ...


shell = ShellTask(
    name="golden.shell",
    script="sort {inputs.f} > {outputs.out}",
    inputs={"f": FlyteFile},
    output_locs=[OutputLocation(var="out", var_type=FlyteFile, location="sorted.txt")],
)

raw_container = ContainerTask(
    name="golden.raw",
    image="alpine:3.20",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs={"a": int, "when": dt.datetime},
    outputs={"area": float},
    command=["/bin/sh", "-c", "echo {{.inputs.a}} > /var/outputs/area"],
)

sql = SQLTask(
    name="golden.sql",
    query_template="SELECT * FROM t WHERE ds = {{ .inputs.ds }} AND ignored = ''",
    inputs={"ds": dt.datetime},
    metadata=None,
    task_type="sqlite",
    outputs={"results": FlyteSchema},
)

echo = Echo(name="golden.echo", inputs={"a": int, "b": str})


@reference_task(project="other", domain="production", name="lib.tasks.score", version="v9")
def referenced(a: int) -> float:
    return 0.0


@task
def t_int(a: int) -> int:
    return a


@task
def t_two(a: int, b: int) -> typing.Tuple[int, str]:
    return a + b, "x"


@task
def t_list(xs: typing.List[int]) -> int:
    return sum(xs)


@task
def t_opt_list(xs: typing.List[typing.Optional[int]]) -> int:
    return len(xs)


@task
def t_void() -> None:
    ...


@task
def t_config(n: int) -> Config:
    return Config()


@task
def t_union(u: typing.Union[int, str, None] = None) -> str:
    return str(u)


@task
def t_bool(a: int) -> bool:
    return a > 1


@task
def t_str(s: str) -> str:
    return s


@task
def t_color(c: Color) -> Color:
    return c


@task
def t_map(m: typing.Dict[str, int]) -> typing.Dict[str, int]:
    return m


@task
def t_frame(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


@task
def clean_up(a: int, err: typing.Optional[FlyteError] = None) -> None:
    ...


@dynamic
def fan_out(n: int) -> typing.List[int]:
    return [t_int(a=i) for i in range(n)]


# ---- workflows -------------------------------------------------------------------------------------------------------


@workflow
def wf_chain(a: int, b: int = 5) -> typing.Tuple[int, str]:
    first = t_int(a=a)
    second = t_int(a=first)
    total, text = t_two(a=second, b=b)
    return total, text


@workflow
def wf_void():
    one = t_void()
    two = t_void()
    one >> two


@workflow
def wf_pass_through(a: int) -> int:
    t_void()
    return a


@workflow
def wf_branch(a: int) -> int:
    base = t_int(a=a)
    return (
        conditional("sizes")
        .if_((base > 10) & (a < 100))
        .then(t_int(a=base))
        .elif_((base == 3) | (a >= 7))
        .then(t_int(a=a))
        .else_()
        .fail("too small")
    )


@workflow
def wf_nested_branch(a: int, flag: bool) -> int:
    before = t_int(a=a)
    other = t_int(a=before)
    return (
        conditional("outer")
        .if_(before > 10)
        .then(conditional("inner").if_(other > 20).then(t_int(a=other)).else_().then(t_int(a=1)))
        .elif_(flag.is_true())
        .then(conditional("inner2").if_(before < 0).then(t_int(a=before)).else_().then(t_int(a=2)))
        .else_()
        .then(t_int(a=before))
    )


@workflow
def wf_branch_inputs_inside(a: int) -> int:
    far = t_int(a=a)
    flag = t_int(a=a)
    return conditional("only-case-uses-far").if_(flag == 1).then(t_int(a=far)).else_().then(t_int(a=a))


@workflow
def wf_gates(a: int) -> typing.Tuple[int, str]:
    ok = approve(t_int(a=a), "approval", timeout=dt.timedelta(hours=1))
    text = wait_for_input("title", timeout=dt.timedelta(hours=2), expected_type=str)
    pause = sleep(dt.timedelta(seconds=10))
    after = t_int(a=ok)
    pause >> after
    return after, t_str(s=text)


@workflow
def wf_sub(a: int) -> int:
    inner, _ = wf_chain(a=a)
    return t_int(a=inner)


@workflow
def wf_sub_twice(a: int) -> int:
    return t_two(a=wf_sub(a=a), b=wf_sub(a=3))[0]


chain_plan = LaunchPlan.get_or_create(wf_chain, name="golden.chain_plan", fixed_inputs={"b": 7})
default_plan = LaunchPlan.get_or_create(wf_chain)


@workflow
def wf_child(a: int) -> int:
    total, _ = chain_plan(a=a)
    other, _ = default_plan(a=total, b=2)
    return other


@workflow
def wf_map(xs: typing.List[int]) -> int:
    ys = map_task(t_int, concurrency=4, min_success_ratio=0.75)(a=xs).with_overrides(retries=2)
    zs = map_task(t_int, min_successes=2)(a=xs)
    return t_two(a=t_opt_list(xs=ys), b=t_list(xs=zs))[0]


@task
def scaled(x: int, factor: int) -> int:
    return x * factor


@workflow
def wf_map_partial(xs: typing.List[int], k: int) -> typing.List[int]:
    import functools

    return map_task(functools.partial(scaled, factor=k))(x=xs)


@workflow
def wf_array_of_plans(xs: typing.List[int]) -> typing.List[int]:
    return array_node(single_plan, concurrency=2)(a=xs)


@workflow
def wf_single(a: int) -> int:
    return t_int(a=a)


single_plan = LaunchPlan.get_or_create(wf_single, name="golden.single_plan")


@workflow(on_failure=clean_up, failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE, interruptible=True)
def wf_failure(a: int) -> int:
    return t_int(a=a)


@workflow
def wf_attributes(n: int) -> typing.Tuple[int, float, str]:
    config = t_config(n=n)
    depth = t_int(a=config.inner.depth)
    layer = t_int(a=config.layers[0])
    t_int(a=layer)
    return depth, config.inner.rate, config.name


@workflow
def wf_attribute_condition(n: int) -> int:
    config = t_config(n=n)
    return conditional("depth").if_(config.inner.depth > 2).then(t_int(a=1)).else_().then(t_int(a=2))


@workflow
def wf_bindings(a: int) -> typing.Tuple[int, typing.Dict[str, int]]:
    one = t_int(a=a)
    total = t_list(xs=[one, a, 5])
    m = t_map(m={"one": one, "two": total, "three": 3})
    t_union(u=one)
    t_union(u="text")
    t_union()
    t_color(c=Color.GREEN)
    return total, m


@workflow
def wf_overrides(a: int) -> int:
    x = t_int(a=a).with_overrides(
        node_name="custom-name",
        requests=Resources(cpu="1"),
        limits=Resources(mem="1Gi"),
        timeout=dt.timedelta(seconds=90),
        retries=5,
        interruptible=True,
        cache=True,
        cache_version="2",
        container_image="other:1",
    )
    return t_int(a=x)


@workflow
def wf_dynamic(n: int) -> int:
    return t_list(xs=fan_out(n=n))


@workflow
def wf_reference(a: int) -> float:
    return referenced(a=t_int(a=a))


@workflow
def wf_typed(
    when: dt.datetime = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc),
    wait: dt.timedelta = dt.timedelta(days=1, microseconds=1),
    color: Color = Color.GREEN,
    maybe: typing.Optional[int] = None,
    config: Config = Config(),
    values: typing.List[float] = [1.0, -0.0, 1e300],
) -> str:
    t_color(c=color)
    return hello(name="x")


@workflow
def wf_shell(f: FlyteFile) -> FlyteFile:
    return shell(f=f)


@workflow
def wf_frame(frame: pd.DataFrame) -> pd.DataFrame:
    return t_frame(frame=frame)


for name, entity in [
    ("task/hello", hello),
    ("task/cached", add_cached),
    ("task/heavy", heavy),
    ("task/every-type", every_type),
    ("task/shell", shell),
    ("task/raw-container", raw_container),
    ("task/sql", sql),
    ("task/echo", echo),
    ("task/dynamic", fan_out),
    ("task/map", map_task(t_int)),
    ("task/config", t_config),
]:
    add_entity(name, entity)
add_entity("task/fast-registered", hello, fast_settings)

for entity in [
    wf_chain,
    wf_void,
    wf_pass_through,
    wf_branch,
    wf_nested_branch,
    wf_branch_inputs_inside,
    wf_gates,
    wf_sub,
    wf_sub_twice,
    wf_child,
    wf_map,
    wf_single,
    wf_map_partial,
    wf_array_of_plans,
    wf_failure,
    wf_attributes,
    wf_attribute_condition,
    wf_bindings,
    wf_overrides,
    wf_dynamic,
    wf_reference,
    wf_typed,
    wf_shell,
    wf_frame,
]:
    add_workflow("workflow/" + entity.name.rsplit(".", 1)[-1].replace("wf_", "").replace("_", "-"), entity)

# ---- launch plans ----------------------------------------------------------------------------------------------------


@workflow
def wf_scheduled(kickoff: dt.datetime, a: int = 1) -> int:
    return t_int(a=a)


from flytekit.models.core.execution import WorkflowExecutionPhase  # noqa: E402

SUCCEEDED, FAILED = WorkflowExecutionPhase.SUCCEEDED, WorkflowExecutionPhase.FAILED

for name, plan in [
    ("launch-plan/default", default_plan),
    ("launch-plan/fixed", chain_plan),
    (
        "launch-plan/cron",
        LaunchPlan.get_or_create(
            wf_scheduled,
            name="golden.cron",
            schedule=CronSchedule(schedule="0 6 * * mon", kickoff_time_input_arg="kickoff"),
            notifications=[
                Email(phases=[SUCCEEDED, FAILED], recipients_email=["a@example.org", "b@example.org"]),
                Slack(phases=[FAILED], recipients_email=["hook@example.org"]),
                PagerDuty(phases=[FAILED], recipients_email=["pd@example.org"]),
            ],
        ),
    ),
    (
        "launch-plan/rate-minute",
        LaunchPlan.get_or_create(wf_scheduled, name="golden.rate", schedule=FixedRate(dt.timedelta(minutes=30), "kickoff")),
    ),
    (
        "launch-plan/rate-day",
        LaunchPlan.get_or_create(wf_scheduled, name="golden.rate_day", schedule=FixedRate(dt.timedelta(days=2), "kickoff")),
    ),
    (
        "launch-plan/labels",
        LaunchPlan.get_or_create(
            wf_typed,
            name="golden.labels",
            default_inputs={"values": [2.5], "maybe": 3},
            labels=Labels({"team": "ml", "é": "ü"}),
            annotations=Annotations({"doc": "https://example.org"}),
            max_parallelism=12,
            security_context=security.SecurityContext(
                run_as=security.Identity(iam_role="arn:aws:iam::1:role/x", k8s_service_account="sa")
            ),
            overwrite_cache=True,
        ),
    ),
]:
    add_entity(name, plan)

# ---- literals --------------------------------------------------------------------------------------------------------

context = FlyteContextManager.current_context()


def literal(value, python_type):
    return TypeEngine.to_literal(context, value, python_type, TypeEngine.to_literal_type(python_type)).to_flyte_idl()


for name, value, python_type in [
    ("integer/max", 2**63 - 1, int),
    ("integer/min", -(2**63), int),
    ("integer/zero", 0, int),
    ("integer/beyond-double", 2**53 + 1, int),
    ("float/tiny", 5e-324, float),
    ("float/third", 1 / 3, float),
    ("float/whole", 5.0, float),
    ("float/negative-zero", -0.0, float),
    ("float/infinity", float("inf"), float),
    ("string/empty", "", str),
    ("string/unicode", "grüße 🚀 \u0000\u2028 end", str),
    ("boolean/false", False, bool),
    ("datetime/micros", dt.datetime(2026, 11, 23, 8, 30, 0, 123456, tzinfo=dt.timezone.utc), dt.datetime),
    ("datetime/before-epoch", dt.datetime(1901, 1, 1, tzinfo=dt.timezone.utc), dt.datetime),
    ("duration/mixed", dt.timedelta(days=3, seconds=4, microseconds=5), dt.timedelta),
    ("duration/negative", dt.timedelta(seconds=-1, microseconds=-500000), dt.timedelta),
    ("enum", Color.GREEN, Color),
    ("union/integer", 5, typing.Union[int, str]),
    ("union/string", "five", typing.Union[int, str]),
    ("union/none", None, typing.Optional[int]),
    ("collection", [1, 2, 3], typing.List[int]),
    ("collection/empty", [], typing.List[int]),
    ("collection/nested", [[1], [], [2, 3]], typing.List[typing.List[int]]),
    ("collection/optional", [1, None], typing.List[typing.Optional[int]]),
    ("map", {"b": 2.5, "a": -1.0, "": 0.0}, typing.Dict[str, float]),
    ("map/integer-like-keys", {"10": 1, "9": 2, "x": 3}, typing.Dict[str, int]),
    ("dataclass", Config(tags={"z": "1", "a": "2"}), Config),
    ("dict", {"int": 1, "float": 1.0, "list": [1, {"x": None}], "big": 2**60}, dict),
]:
    add("literal/" + name, literal(value, python_type))

L = literals_pb2


def scalar(**kwargs):
    return L.Literal(scalar=L.Scalar(**kwargs))


dataset_type = types_pb2.StructuredDatasetType(
    columns=[
        types_pb2.StructuredDatasetType.DatasetColumn(name="x", literal_type=types_pb2.LiteralType(simple=types_pb2.INTEGER)),
        types_pb2.StructuredDatasetType.DatasetColumn(name="y", literal_type=types_pb2.LiteralType(simple=types_pb2.FLOAT)),
    ],
    format="parquet",
    external_schema_type="arrow",
    external_schema_bytes=b"\x00\x01\xff",
)
schema_type = types_pb2.SchemaType(
    columns=[types_pb2.SchemaType.SchemaColumn(name="a", type=types_pb2.SchemaType.SchemaColumn.DATETIME)]
)
struct = struct_pb2.Struct()
json_format.ParseDict(
    {"s": "x", "n": 1.5, "whole": 3, "null": None, "b": False, "l": [1, "two", [None, {}]], "o": {"deep": {"er": True}}, "": ""},
    struct,
)
file_type = types_pb2.BlobType(format="csv", dimensionality=types_pb2.BlobType.SINGLE)
folder_type = types_pb2.BlobType(dimensionality=types_pb2.BlobType.MULTIPART)
now = timestamp_pb2.Timestamp(seconds=1793435400, nanos=123456789)
later = timestamp_pb2.Timestamp(seconds=1793435401, nanos=1)

for name, message in [
    ("blob/file", scalar(blob=L.Blob(metadata=L.BlobMetadata(type=file_type), uri="s3://aloft/a/b.csv"))),
    ("blob/folder", scalar(blob=L.Blob(metadata=L.BlobMetadata(type=folder_type), uri="s3://aloft/dir"))),
    ("schema", scalar(schema=L.Schema(uri="s3://aloft/s", type=schema_type))),
    (
        "structured-dataset",
        scalar(
            structured_dataset=L.StructuredDataset(
                uri="s3://aloft/d", metadata=L.StructuredDatasetMetadata(structured_dataset_type=dataset_type)
            )
        ),
    ),
    ("none", scalar(none_type=L.Void())),
    ("error", scalar(error=types_pb2.Error(failed_node_id="n0", message="boom"))),
    ("generic", scalar(generic=struct)),
    ("generic/empty", scalar(generic=struct_pb2.Struct())),
    ("binary", scalar(binary=L.Binary(value=bytes(range(256)), tag="raw"))),
    ("msgpack", scalar(binary=L.Binary(value=msgpack.packb({"a": [1, 2.0, -(2**63), 2**64 - 1, None, b"\x00"]}), tag="msgpack"))),
    ("datetime/nanos", scalar(primitive=L.Primitive(datetime=now))),
    ("duration/nanos", scalar(primitive=L.Primitive(duration=duration_pb2.Duration(seconds=-1, nanos=-999999999)))),
    ("float/nan", scalar(primitive=L.Primitive(float_value=float("nan")))),
    (
        "offloaded",
        L.Literal(
            offloaded_metadata=L.LiteralOffloadedMetadata(
                uri="s3://aloft/big.pb", size_bytes=2**40, inferred_type=types_pb2.LiteralType(simple=types_pb2.STRING)
            ),
            hash="h",
            metadata={"k": "v", "1": "one"},
        ),
    ),
    ("hash-only", L.Literal(hash="abc")),
    ("empty", L.Literal()),
]:
    add("literal/" + name, message)

# ---- the rest: what a platform exchanges -----------------------------------------------------------------------------

I = identifier_pb2
execution_id = I.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name="a1b2c3", org="o")
node_id = I.NodeExecutionIdentifier(node_id="n0-0-n1", execution_id=execution_id)
task_id = I.Identifier(resource_type=I.TASK, project="flytesnacks", domain="development", name="t", version="v1")
task_execution_id = I.TaskExecutionIdentifier(task_id=task_id, node_execution_id=node_id, retry_attempt=2)
dataset_id = I.Identifier(resource_type=I.DATASET, project="p", domain="d", name="flyte_task-t", version="1-a-b")
ExecutionError = core_execution_pb2.ExecutionError

add(
    "errors/document",
    errors_pb2.ErrorDocument(
        error=errors_pb2.ContainerError(
            code="USER:RuntimeError",
            message="Traceback (most recent call last):\n  …",
            kind=errors_pb2.ContainerError.RECOVERABLE,
            origin=ExecutionError.USER,
            timestamp=now,
            worker="worker-0",
        )
    ),
)
add("errors/execution", ExecutionError(code="x", message="y", error_uri="s3://aloft/error.pb", kind=ExecutionError.SYSTEM, timestamp=now))
add(
    "event/workflow",
    core_event_pb2.WorkflowExecutionEvent(
        execution_id=execution_id,
        producer_id="propeller",
        phase=core_execution_pb2.WorkflowExecution.FAILED,
        occurred_at=now,
        error=ExecutionError(code="c", message="m", kind=ExecutionError.USER),
    ),
)
add(
    "event/node",
    core_event_pb2.NodeExecutionEvent(
        id=node_id,
        phase=core_execution_pb2.NodeExecution.SUCCEEDED,
        occurred_at=now,
        reported_at=later,
        input_uri="s3://aloft/inputs.pb",
        output_data=L.LiteralMap(literals={"o0": literal(5, int)}),
        task_node_metadata=core_event_pb2.TaskNodeMetadata(
            cache_status=catalog_pb2.CACHE_HIT,
            catalog_key=catalog_pb2.CatalogMetadata(
                dataset_id=dataset_id,
                artifact_tag=catalog_pb2.CatalogArtifactTag(artifact_id="id", name="flyte_cached-x"),
                source_task_execution=task_execution_id,
            ),
            checkpoint_uri="s3://aloft/_flytecheckpoints",
        ),
        parent_node_metadata=core_event_pb2.ParentNodeExecutionMetadata(node_id="n0"),
        retry_group="0",
        spec_node_id="n1",
        node_name="t",
        event_version=1,
        is_in_dynamic_chain=True,
    ),
)
add(
    "event/task",
    core_event_pb2.TaskExecutionEvent(
        task_id=task_id,
        parent_node_execution_id=node_id,
        retry_attempt=1,
        phase=core_execution_pb2.TaskExecution.RUNNING,
        phase_version=7,
        occurred_at=now,
        logs=[core_execution_pb2.TaskLog(uri="https://logs", name="log", message_format=core_execution_pb2.TaskLog.JSON, ttl=duration_pb2.Duration(seconds=60))],
        custom_info=struct,
        reasons=[core_event_pb2.EventReason(reason="pulled", occurred_at=now)],
        task_type="python-task",
        metadata=core_event_pb2.TaskExecutionMetadata(
            generated_name="a1b2c3-n0-0",
            external_resources=[
                core_event_pb2.ExternalResourceInfo(external_id="x", index=4, phase=core_execution_pb2.TaskExecution.SUCCEEDED)
            ],
            instance_class=core_event_pb2.TaskExecutionMetadata.INTERRUPTIBLE,
        ),
    ),
)
add("event/request", event_pb2.NodeExecutionEventRequest(request_id="r", event=core_event_pb2.NodeExecutionEvent(id=node_id, occurred_at=now)))
launch_plan_id = I.Identifier(resource_type=I.LAUNCH_PLAN, project="p", domain="d", name="lp", version="v")
add(
    "execution",
    execution_pb2.Execution(
        id=execution_id,
        spec=execution_pb2.ExecutionSpec(
            launch_plan=launch_plan_id,
            metadata=execution_pb2.ExecutionMetadata(
                mode=execution_pb2.ExecutionMetadata.RECOVERED, principal="me", nesting=2, scheduled_at=now, reference_execution=execution_id
            ),
            labels=common_pb2.Labels(values={"b": "2", "a": "1"}),
            max_parallelism=25,
            interruptible=wrappers_pb2.BoolValue(value=False),
            overwrite_cache=True,
            envs=common_pb2.Envs(values=[L.KeyValuePair(key="K", value="V")]),
            tags=["t1", "t2"],
            raw_output_data_config=common_pb2.RawOutputDataConfig(output_location_prefix="s3://aloft/raw"),
            execution_cluster_label=matchable_resource_pb2.ExecutionClusterLabel(value="gpu"),
        ),
        closure=execution_pb2.ExecutionClosure(
            phase=core_execution_pb2.WorkflowExecution.ABORTED,
            abort_metadata=execution_pb2.AbortMetadata(cause="why", principal="me"),
            started_at=now,
            duration=duration_pb2.Duration(seconds=61, nanos=5),
            created_at=now,
            updated_at=later,
        ),
    ),
)
add(
    "execution/create-request",
    execution_pb2.ExecutionCreateRequest(
        project="p", domain="d", name="run", spec=execution_pb2.ExecutionSpec(launch_plan=launch_plan_id, disable_all=True), inputs=L.LiteralMap(literals={"x": literal(1, int)})
    ),
)
add(
    "node-execution",
    node_execution_pb2.NodeExecution(
        id=node_id,
        input_uri="s3://aloft/i",
        closure=node_execution_pb2.NodeExecutionClosure(
            phase=core_execution_pb2.NodeExecution.RUNNING, started_at=now, deck_uri="s3://aloft/deck.html", dynamic_job_spec_uri="s3://aloft/futures.pb"
        ),
        metadata=node_execution_pb2.NodeExecutionMetaData(retry_group="1", is_parent_node=True, spec_node_id="n1", is_dynamic=True, is_array=True),
    ),
)
add(
    "task-execution",
    task_execution_pb2.TaskExecution(
        id=task_execution_id,
        closure=task_execution_pb2.TaskExecutionClosure(
            phase=core_execution_pb2.TaskExecution.FAILED,
            error=ExecutionError(code="c"),
            custom_info=struct,
            reasons=[task_execution_pb2.Reason(occurred_at=now, message="m")],
        ),
        is_parent=True,
    ),
)
M = matchable_resource_pb2
for name, attributes in [
    ("task-resources", M.MatchingAttributes(task_resource_attributes=M.TaskResourceAttributes(defaults=M.TaskResourceSpec(cpu="1", memory="1Gi")))),
    ("cluster-resources", M.MatchingAttributes(cluster_resource_attributes=M.ClusterResourceAttributes(attributes={"q": "4"}))),
    ("queue", M.MatchingAttributes(execution_queue_attributes=M.ExecutionQueueAttributes(tags=["gpu"]))),
    ("cluster-label", M.MatchingAttributes(execution_cluster_label=M.ExecutionClusterLabel(value="x"))),
    ("qos", M.MatchingAttributes(quality_of_service=core_execution_pb2.QualityOfService(tier=core_execution_pb2.QualityOfService.HIGH))),
    (
        "plugins",
        M.MatchingAttributes(
            plugin_overrides=M.PluginOverrides(
                overrides=[M.PluginOverride(task_type="spark", plugin_id=["a"], missing_plugin_behavior=M.PluginOverride.USE_DEFAULT)]
            )
        ),
    ),
    (
        "workflow-config",
        M.MatchingAttributes(
            workflow_execution_config=M.WorkflowExecutionConfig(max_parallelism=4, interruptible=wrappers_pb2.BoolValue(value=True))
        ),
    ),
    ("cluster-assignment", M.MatchingAttributes(cluster_assignment=cluster_assignment_pb2.ClusterAssignment(cluster_pool_name="pool"))),
]:
    add("attributes/" + name, attributes)
add("project", project_pb2.Project(id="p", name="P", domains=[project_pb2.Domain(id="d", name="D")], labels=common_pb2.Labels(values={"x": "y"}), state=project_pb2.Project.ARCHIVED))
signal_id = I.SignalIdentifier(signal_id="s", execution_id=execution_id)
add("signal", signal_pb2.Signal(id=signal_id, type=types_pb2.LiteralType(simple=types_pb2.BOOLEAN), value=literal(True, bool)))
add("signal/set", signal_pb2.SignalSetRequest(id=signal_id, value=literal("go", str)))
D = datacatalog_pb2
catalog_dataset = D.DatasetID(project="p", name="flyte_task-t", domain="d", version="1-abc-def", UUID="u")
add("catalog/dataset", D.Dataset(id=catalog_dataset, metadata=D.Metadata(key_map={"task-version": "v1"}), partitionKeys=["k"]))
add(
    "catalog/artifact",
    D.CreateArtifactRequest(
        artifact=D.Artifact(
            id="a",
            dataset=catalog_dataset,
            data=[D.ArtifactData(name="o0", value=literal(5, int))],
            metadata=D.Metadata(key_map={"exec-name": "x", "exec-attempt": "0"}),
            partitions=[D.Partition(key="k", value="v")],
            tags=[D.Tag(name="flyte_cached-x", artifact_id="a", dataset=catalog_dataset)],
            created_at=now,
        )
    ),
)
add("catalog/get", D.GetArtifactRequest(dataset=catalog_dataset, tag_name="flyte_cached-x"))
add(
    "catalog/reservation",
    D.GetOrExtendReservationRequest(
        reservation_id=D.ReservationID(dataset_id=catalog_dataset, tag_name="t"), owner_id="me", heartbeat_interval=duration_pb2.Duration(seconds=10)
    ),
)
add("list/request", common_pb2.ResourceListRequest(id=common_pb2.NamedEntityIdentifier(project="p", domain="d", name="n"), limit=100, token="20", filters="eq(name,x)", sort_by=common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING)))
add("launch-plan/update", launch_plan_pb2.LaunchPlanUpdateRequest(id=launch_plan_id, state=launch_plan_pb2.ACTIVE))
workflow_spec = workflow_pb2.WorkflowSpec()
add("workflow/empty", workflow_spec)

# What a dynamic task writes, by flytekit itself.
from flytekit.core.context_manager import ExecutionState  # noqa: E402

with FlyteContextManager.with_context(
    FlyteContextManager.current_context()
    .with_serialization_settings(settings)
    .with_execution_state(FlyteContextManager.current_context().new_execution_state().with_params(mode=ExecutionState.Mode.TASK_EXECUTION))
) as dynamic_context:
    futures = fan_out.dispatch_execute(dynamic_context, __import__("flytekit").models.literals.LiteralMap({"n": TypeEngine.to_literal(dynamic_context, 3, int, TypeEngine.to_literal_type(int))})).to_flyte_idl()
assert isinstance(futures, dynamic_job_pb2.DynamicJobSpec), type(futures)
add("dynamic/futures", futures)
pod_spec = struct_pb2.Struct()
json_format.ParseDict(
    {"containers": [{"name": "primary", "image": "busybox", "resources": {"limits": {"cpu": "1"}}}, {"name": "sidecar"}], "terminationGracePeriodSeconds": 30},
    pod_spec,
)
add(
    "task/pod",
    tasks_pb2.TaskTemplate(
        id=task_id,
        type="sidecar",
        task_type_version=2,
        k8s_pod=tasks_pb2.K8sPod(
            metadata=tasks_pb2.K8sObjectMetadata(labels={"team": "ml"}, annotations={"note": "x"}),
            pod_spec=pod_spec,
            primary_container_name="primary",
        ),
        config={"primary_container_name": "primary"},
    ),
)
add("compiled/task", compiler_pb2.CompiledTask(template=tasks_pb2.TaskTemplate(id=task_id, type="t", custom=struct)))

# Unknown fields: number 5000 (varint) and 5001 (bytes) at the end of a message, as a newer peer would send.
known = tasks_pb2.TaskTemplate(id=task_id, type="python-task")
extra = bytes([0xC0, 0xB8, 0x02, 0x2A]) + bytes([0xCA, 0xB8, 0x02, 0x03]) + b"abc"
with_unknown = tasks_pb2.TaskTemplate.FromString(known.SerializeToString(deterministic=True) + extra)
add("unknown-fields", with_unknown, raw=known.SerializeToString(deterministic=True) + extra)
# An enum value that isn't known.
add("unknown-enum", L.Literal(scalar=L.Scalar(union=L.Union(type=types_pb2.LiteralType(simple=77)))))

folder = os.path.dirname(os.path.abspath(__file__))


def write(file_name, items):
    """One item a line, so that a change shows as the lines it changes."""
    lines = ",\n".join(json.dumps(item, ensure_ascii=False, sort_keys=True) for item in items)
    with open(os.path.join(folder, file_name), "w", encoding="utf-8") as out:
        out.write("[\n" + lines + "\n]\n")


write("golden.json", golden)
write("workflows.json", compilable)
print(f"{len(golden)} entities, {len(compilable)} workflows")
