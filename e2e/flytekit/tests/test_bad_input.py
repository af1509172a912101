"""Refusals name the field, the value and what would be right; whatever comes in, the platform lives."""

import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import grpc
import pytest
from conftest import Platform
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2 as core_workflow
from flyteidl.service import admin_pb2_grpc, dataproxy_pb2, dataproxy_pb2_grpc

PROJECT, DOMAIN = "flytesnacks", "development"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)


@pytest.fixture(scope="module")
def channel(platform):
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(platform.grpc, options=options) as opened:
        yield opened


@pytest.fixture(scope="module")
def admin(channel):
    return admin_pb2_grpc.AdminServiceStub(channel)


def identifier(kind, name, version, project=PROJECT):
    return identifier_pb2.Identifier(resource_type=kind, project=project, domain=DOMAIN, name=name, version=version)


def variables(**types):
    return interface_pb2.VariableMap(variables={k: interface_pb2.Variable(type=t) for k, t in types.items()})


def container_task(name, version, args, outputs=None, inputs=None):
    return tasks_pb2.TaskTemplate(
        id=identifier(identifier_pb2.TASK, name, version),
        type="container",
        metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(type=1, version="1", flavor="test")),
        interface=interface_pb2.TypedInterface(inputs=inputs or variables(), outputs=outputs or variables()),
        container=tasks_pb2.Container(image="local", command=["sh", "-c"], args=args),
    )


def register_task(admin, template):
    admin.CreateTask(task_pb2.TaskCreateRequest(id=template.id, spec=task_pb2.TaskSpec(template=template)))
    return template.id


def run_task(admin, task_id, name, inputs=None):
    spec = execution_pb2.ExecutionSpec(launch_plan=task_id, metadata=execution_pb2.ExecutionMetadata())
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, name=name, spec=spec, inputs=inputs)
    return admin.CreateExecution(request).id


def wait(admin, execution_id, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        execution = admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=execution_id))
        if execution.closure.phase in (4, 6, 7, 8):
            return execution
        time.sleep(0.05)
    raise AssertionError(f"{execution_id.name} is stuck in phase {execution.closure.phase}")


def refused(call, code, *words):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == code, (caught.value.code(), caught.value.details())
    for word in words:
        assert word.lower() in caught.value.details().lower(), f"{word!r} is missing in: {caught.value.details()}"


def alive(admin):
    assert admin.ListProjects(project_pb2.ProjectListRequest()).projects


def test_unknown_method(channel, admin):
    call = channel.unary_unary("/flyteidl.service.AdminService/DoMagic", lambda b: b, lambda b: b)
    refused(lambda: call(b""), grpc.StatusCode.UNIMPLEMENTED)
    alive(admin)


def test_malformed_message(channel, admin):
    call = channel.unary_unary("/flyteidl.service.AdminService/CreateTask", lambda b: b, lambda b: b)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff\xff\xff\xff\x01garbage")
    assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)
    alive(admin)


def test_hundred_megabyte_literal(admin, version):
    task = register_task(
        admin, container_task("bad.huge", version, ["true"], inputs=variables(text=types_pb2.LiteralType(simple=types_pb2.STRING)))
    )
    text = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="x" * 100_000_000)))
    refused(
        lambda: run_task(admin, task, "huge-literal", literals_pb2.LiteralMap(literals={"text": text})),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
    alive(admin)


def test_refusals_name_field_and_value(admin, version):
    bad = container_task("bad.noimage", version, ["true"])
    bad.container.image = ""
    refused(lambda: register_task(admin, bad), grpc.StatusCode.INVALID_ARGUMENT, "image")
    bad = container_task("bad.noproject", version, ["true"])
    bad.id.project = "nowhere"
    refused(lambda: register_task(admin, bad), grpc.StatusCode.INVALID_ARGUMENT, "nowhere")
    task = register_task(admin, container_task("bad.typed", version, ["true"], inputs=variables(n=INTEGER)))
    refused(lambda: run_task(admin, task, "missing-input"), grpc.StatusCode.INVALID_ARGUMENT, "n")
    text = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="four")))
    refused(
        lambda: run_task(admin, task, "wrong-type", literals_pb2.LiteralMap(literals={"n": text})),
        grpc.StatusCode.INVALID_ARGUMENT, "n", "integer",
    )
    refused(
        lambda: run_task(admin, task, "9abc", literals_pb2.LiteralMap()), grpc.StatusCode.INVALID_ARGUMENT, "9abc",
    )


def test_cycle_is_refused(admin, version):
    node = lambda name, after: core_workflow.Node(
        id=name,
        metadata=core_workflow.NodeMetadata(name=name),
        upstream_node_ids=[after],
        task_node=core_workflow.TaskNode(reference_id=identifier(identifier_pb2.TASK, "bad.cyclic", version)),
    )
    register_task(admin, container_task("bad.cyclic", version, ["true"]))
    template = core_workflow.WorkflowTemplate(
        id=identifier(identifier_pb2.WORKFLOW, "bad.cycle", version),
        interface=interface_pb2.TypedInterface(inputs=variables(), outputs=variables()),
        nodes=[node("n0", "n1"), node("n1", "n0")],
        metadata=core_workflow.WorkflowMetadata(), metadata_defaults=core_workflow.WorkflowMetadataDefaults(),
    )
    request = workflow_pb2.WorkflowCreateRequest(id=template.id, spec=workflow_pb2.WorkflowSpec(template=template))
    refused(lambda: admin.CreateWorkflow(request), grpc.StatusCode.INVALID_ARGUMENT, "cycle")


def test_task_that_writes_no_outputs(admin, version):
    task = register_task(admin, container_task("bad.silent", version, ["true"], outputs=variables(n=INTEGER)))
    ended = wait(admin, run_task(admin, task, "silent-task"))
    assert ended.closure.phase == 6 and "outputs" in ended.closure.error.message


def test_task_that_writes_garbage_outputs(admin, version):
    script = "printf 'not a protobuf \\377\\377' > {{.outputPrefix}}/outputs.pb"
    task = register_task(admin, container_task("bad.garbage", version, [script], outputs=variables(n=INTEGER)))
    ended = wait(admin, run_task(admin, task, "garbage-task"))
    assert ended.closure.phase == 6 and "outputs.pb" in ended.closure.error.message
    alive(admin)


def test_command_that_does_not_exist(admin, version):
    template = container_task("bad.command", version, [])
    del template.container.command[:]
    template.container.command.append("no-such-program-anywhere")
    ended = wait(admin, run_task(admin, register_task(admin, template), "no-such-command"))
    assert ended.closure.phase == 6 and "no-such-program-anywhere" in ended.closure.error.message


def test_broken_archive_fails_its_run_only(admin, channel, remote, registered, version):
    """A fast-registered task whose code bundle is not an archive."""
    proxy = dataproxy_pb2_grpc.DataProxyServiceStub(channel)
    body = b"this is no tar.gz"
    location = proxy.CreateUploadLocation(
        dataproxy_pb2.CreateUploadLocationRequest(
            project=PROJECT, domain=DOMAIN, filename="broken.tar.gz", content_md5=hashlib.md5(body).digest()
        )
    )
    request = urllib.request.Request(location.signed_url, data=body, method="PUT", headers=dict(location.headers))
    request.add_header("Content-MD5", base64.b64encode(hashlib.md5(body).digest()).decode())
    assert urllib.request.urlopen(request).status in (200, 201)
    good = admin.GetTask(
        common_pb2.ObjectGetRequest(id=identifier(identifier_pb2.TASK, "scripts.basics.greet", registered))
    ).closure.compiled_task.template
    good.id.CopyFrom(identifier(identifier_pb2.TASK, "bad.archive", version))
    args = list(good.container.args)
    args[args.index("--additional-distribution") + 1] = location.native_url
    del good.container.args[:]
    good.container.args.extend(args)
    name = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="x")))
    ended = wait(admin, run_task(admin, register_task(admin, good), "broken-archive", literals_pb2.LiteralMap(literals={"name": name})))
    assert ended.closure.phase == 6 and "broken.tar.gz" in ended.closure.error.message, ended.closure.error.message
    alive(admin)


def test_signed_url_is_for_its_object_only(channel, platform):
    proxy = dataproxy_pb2_grpc.DataProxyServiceStub(channel)
    location = proxy.CreateUploadLocation(
        dataproxy_pb2.CreateUploadLocationRequest(project=PROJECT, domain=DOMAIN, filename="a.txt", filename_root="root1")
    )
    other = location.signed_url.replace("a.txt", "b.txt")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(other, data=b"x", method="PUT", headers=dict(location.headers)))
    assert caught.value.code == 403
    unsigned = location.signed_url.split("?")[0] + "/../../../../../../etc/passwd"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(unsigned)
    assert caught.value.code in (400, 403)


@pytest.fixture
def cramped(tmp_path_factory):
    """A platform of its own whose blob folder is a file system of 16 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system as the blob folder needs root")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="aloft-e2e-full-"))
    os.chmod(directory, 0o755)
    blob = directory / "data" / "blob"
    blob.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(blob)], capture_output=True, text=True)
    if mounted.returncode != 0:
        shutil.rmtree(directory)
        pytest.skip(f"mounting a small file system as the blob folder is refused here: {mounted.stderr.strip()}")
    started = Platform(directory)
    try:
        yield started.start(), blob
    finally:
        started.stop()
        subprocess.run(["umount", str(blob)], check=True)
        shutil.rmtree(directory, ignore_errors=True)


def upload(proxy, content, filename):
    request = dataproxy_pb2.CreateUploadLocationRequest(
        project=PROJECT, domain=DOMAIN, filename=filename, content_md5=hashlib.md5(content).digest()
    )
    location = proxy.CreateUploadLocation(request)
    put = urllib.request.Request(location.signed_url, data=content, method="PUT", headers=dict(location.headers))
    put.add_header("Content-MD5", base64.b64encode(hashlib.md5(content).digest()).decode())
    with urllib.request.urlopen(put) as answer:
        return answer.status, location


def test_full_disk_fails_what_does_not_fit_and_nothing_else(cramped):
    own, blob = cramped
    with grpc.insecure_channel(own.grpc) as channel:
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        proxy = dataproxy_pb2_grpc.DataProxyServiceStub(channel)
        kept = b"kept" * 1000
        status, location = upload(proxy, kept, "kept.txt")
        assert status == 200
        stored = blob / location.native_url.removeprefix("s3://")
        write = 'head -c 4000000 /dev/zero > "{{.outputPrefix}}/big.bin"'
        task_id = register_task(admin, container_task("e2e.full_disk", "1", [write]))
        filler = blob / "filler"
        free = os.statvfs(blob).f_bavail * os.statvfs(blob).f_frsize
        filler.write_bytes(b"\0" * (free - 2**20))

        with pytest.raises(urllib.error.HTTPError) as refusal:
            upload(proxy, b"x" * 4_000_000, "large.txt")
        assert refusal.value.code >= 500
        body = refusal.value.read().decode()
        assert "<Error>" in body and "space" in body, body
        failed = wait(admin, run_task(admin, task_id, "full"))
        assert failed.closure.phase == 6
        # What the task itself said is lost with what it wrote: the platform says why.
        assert "no space left" in failed.closure.error.message, failed.closure.error
        assert stored.read_bytes() == kept
        with urllib.request.urlopen(f"{own.http}/readyz") as answer:
            assert answer.status == 200

        filler.unlink()
        for left in blob.rglob("big.bin"):
            left.unlink()
        done = wait(admin, run_task(admin, task_id, "freed"))
        assert done.closure.phase == 4, done.closure.error
        assert upload(proxy, b"y" * 1_000_000, "after.txt")[0] == 200
        assert stored.read_bytes() == kept
