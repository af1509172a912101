"""Uploads, downloads and `flyte://` URLs (A-120…A-123, Q-9)."""

import hashlib
import http.client
import urllib.parse
import uuid

import pytest
from flyteidl.core import identifier_pb2
from flyteidl.service import dataproxy_pb2
from google.protobuf import duration_pb2
from registry import DOMAIN, INTEGER, literals, primitive
from test_executions import run_name, wait

CONTENT = b"hello"
MD5 = hashlib.md5(CONTENT).digest()
Upload = dataproxy_pb2.CreateUploadLocationRequest
Download = dataproxy_pb2.CreateDownloadLocationRequest
Link = dataproxy_pb2.CreateDownloadLinkRequest
Data = dataproxy_pb2.GetDataRequest


def upload_of(project, /, **fields) -> Upload:
    return Upload(**{"project": project, "domain": DOMAIN, "content_md5": MD5, **fields})


def fetch(verb: str, url: str, body=None, headers=None):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(verb, f"{parts.path}?{parts.query}", body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def uploaded(api, project, **fields):
    location = api.call("CreateUploadLocation", upload_of(project, **fields))
    status, said = fetch("PUT", location.signed_url, CONTENT, location.headers)
    assert status in (200, 201), said
    return location


def test_A_120_there_and_back(api, project):
    location = uploaded(api, project, filename="a file.txt")
    down = api.call("CreateDownloadLocation", Download(native_url=location.native_url))
    assert fetch("GET", down.signed_url) == (200, CONTENT)


def test_A_120_the_path_names_project_domain_root_and_file(api, project):
    rooted = api.rest("CreateUploadLocation", upload_of(project, filename="f.bin", filename_root="root"))
    assert rooted.native_url.endswith(f"/{project}/{DOMAIN}/root/f.bin")
    hashed = api.call("CreateUploadLocation", upload_of(project, filename="f.bin"))
    assert hashed.native_url.endswith("/f.bin") and hashed.native_url.split("/")[-2] != "root"
    generated = api.call("CreateUploadLocation", upload_of(project))
    assert len(generated.native_url.rpartition("/")[2]) == 20


def test_A_120_the_content_must_be_that_of_the_md5(api, project):
    location = api.call("CreateUploadLocation", upload_of(project))
    status, _ = fetch("PUT", location.signed_url, b"other", location.headers)
    assert status >= 400


@pytest.mark.parametrize(
    ("fields", "mentions"),
    [
        pytest.param({"project": ""}, ("project",), id="no_project"),
        pytest.param({"domain": ""}, ("domain",), id="no_domain"),
        pytest.param({"project": "nowhere"}, ("project", "nowhere"), id="unknown_project"),
        pytest.param({"domain": "moon"}, ("domain", "moon"), id="unknown_domain"),
        pytest.param({"content_md5": b""}, ("content_md5",), id="neither_md5_nor_root"),
        pytest.param({"content_md5": b"short"}, ("content_md5", "5", "16"), id="md5_of_5_bytes"),
        pytest.param({"content_md5": MD5 + b"x"}, ("content_md5", "17"), id="md5_of_17_bytes"),
        pytest.param({"expires_in": duration_pb2.Duration(seconds=3601)}, ("expires_in", "3600"), id="expiry_above_the_cap"),
        pytest.param({"expires_in": duration_pb2.Duration(seconds=-1)}, ("expires_in", "-1"), id="negative_expiry"),
        pytest.param({"expires_in": duration_pb2.Duration(nanos=5)}, ("expires_in",), id="expiry_of_nanoseconds"),
        pytest.param({"filename": "../x"}, ("filename", ".."), id="dots_in_filename"),
        pytest.param({"filename": "a/../../x"}, ("filename", ".."), id="dots_inside_filename"),
        pytest.param({"filename": "/etc/passwd"}, ("filename",), id="absolute_filename"),
        pytest.param({"filename": "a//b"}, ("filename",), id="empty_segment"),
        pytest.param({"filename": "a\0b"}, ("filename",), id="nul"),
        pytest.param({"filename_root": ".."}, ("filename_root", ".."), id="dots_in_root"),
        pytest.param({"filename_root": "a/."}, ("filename_root",), id="dot_in_root"),
        pytest.param({"filename": "f" * 1025}, ("filename", "1025"), id="filename_of_1025"),
        pytest.param({"org": "../.."}, ("project",), id="dots_in_org"),
        pytest.param({"project": ".."}, ("project", ".."), id="dots_in_project"),
    ],
)
def test_K_27_refused(api, project, fields, mentions):
    api.refused("CreateUploadLocation", upload_of(project, **fields), "INVALID_ARGUMENT", *mentions)


def test_K_27_expiry_at_the_cap(api, project):
    api.call("CreateUploadLocation", upload_of(project, expires_in=duration_pb2.Duration(seconds=3600)))


def test_K_27_same_place(api, project):
    place = {"filename": "f.txt", "filename_root": uuid.uuid4().hex}
    first = uploaded(api, project, **place)
    other = upload_of(project, content_md5=hashlib.md5(b"other").digest(), **place)
    api.refused("CreateUploadLocation", other, "ALREADY_EXISTS", first.native_url)
    assert api.call("CreateUploadLocation", upload_of(project, **place)).native_url == first.native_url
    api.refused("CreateUploadLocation", upload_of(project, content_md5=b"", **place), "ALREADY_EXISTS", "f.txt")


def test_A_120_metadata_with_the_md5(api, project):
    location = api.call("CreateUploadLocation", upload_of(project, add_content_md5_metadata=True))
    assert any("flytecontentmd5" in name.lower() for name in location.headers)


@pytest.fixture(scope="module")
def bucket(api, project) -> str:
    native = api.call("CreateUploadLocation", upload_of(project)).native_url
    return native.split("/")[2]


OUTSIDE = [
    "s3://{bucket}/secret",
    "s3://{bucket}/",
    "s3://{bucket}",
    "s3://other-bucket/uploads/x",
    "s3://{bucket}/uploads/../secret",
    "s3://{bucket}/uploads/{project}/../../x",
    "s3://{bucket}/uploads/{project}/./x",
    "s3://{bucket}/uploadsx/{project}/x",
    "s3://{bucket}/uploads\\..\\x",
    "s3://{bucket}/uploads/{project}/a\0b",
    "s3://{bucket}@evil/uploads/x",
    "s3://user:pw@{bucket}/uploads/x",
    "file:///etc/passwd",
    "/etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "https://example.com/x",
    "gs://{bucket}/uploads/x",
    "s3:/{bucket}/uploads/x",
    "S3://{bucket}/uploads/x",
    "nonsense",
    "s3://{bucket}/uploads/nowhere/development/x/y",
    "s3://{bucket}/metadata/admin/nowhere/development/x/y",
    "s3://{bucket}/metadata/admin/executions/nowhere/development/x/y",
    "s3://{bucket}/metadata/propeller/nowhere-development-run/n0/data/0/outputs.pb",
]


@pytest.mark.parametrize("url", OUTSIDE)
def test_Q_9_only_ours(api, project, bucket, url):
    given = url.format(bucket=bucket, project=project)
    api.refused("CreateDownloadLocation", Download(native_url=given), "INVALID_ARGUMENT", "native_url")


def test_A_122_refused(api, project, bucket):
    api.refused("CreateDownloadLocation", Download(), "INVALID_ARGUMENT", "native_url")
    ours = f"s3://{bucket}/uploads/{project}/{DOMAIN}/x/y"
    late = Download(native_url=ours, expires_in=duration_pb2.Duration(seconds=3601))
    api.refused("CreateDownloadLocation", late, "INVALID_ARGUMENT", "expires_in", "3601")


@pytest.fixture(scope="module")
def run(api, registry):
    plan = registry.plan_of_one_task("e2e.data", inputs={"x": INTEGER})
    started = registry.execute(plan, run_name(), {"x": 5})
    wait(api, started)
    return started


def test_K_28_no_deck(api, run):
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=run, node_id="n0")
    link = Link(artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK, node_execution_id=node)
    api.refused("CreateDownloadLink", link, "NOT_FOUND", "n0", "deck")
    link.node_execution_id.node_id = "n9"
    api.refused("CreateDownloadLink", link, "NOT_FOUND", "n9")
    link.node_execution_id.execution_id.name = "nobody"
    api.refused("CreateDownloadLink", link, "NOT_FOUND", "nobody")


def test_A_121_refused(api, run):
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=run, node_id="n0")
    api.refused("CreateDownloadLink", Link(node_execution_id=node), "INVALID_ARGUMENT", "artifact_type")
    deck = dataproxy_pb2.ARTIFACT_TYPE_DECK
    api.refused("CreateDownloadLink", Link(artifact_type=deck), "INVALID_ARGUMENT", "node_execution_id")


def url(run, *rest) -> str:
    return "/".join(["flyte://v1", run.project, run.domain, run.name, *rest])


def test_A_123_inputs_by_node_attempt_and_name(api, run):
    assert api.read("GetData", Data(flyte_url=url(run, "n0", "i"))).literal_map == literals(x=5)
    assert api.read("GetData", Data(flyte_url=url(run, "n0", "0", "i"))).literal_map == literals(x=5)
    assert api.read("GetData", Data(flyte_url=url(run, "n0", "i", "x"))).literal == primitive(5)
    assert api.read("GetData", Data(flyte_url=url(run, "n0", "o"))).literal_map == literals()


@pytest.mark.parametrize(
    "rest",
    [
        ("n0",),
        ("n0", "x"),
        ("n0", "o", "nothing"),
        ("n0", "i", "x", "y"),
        ("n0", "0", "d"),
        ("n0", "d", "x"),
        ("n0", "i", ""),
        ("", "i"),
        ("n0", "-1", "i"),
    ],
)
def test_K_29_refused(api, run, rest):
    api.refused("GetData", Data(flyte_url=url(run, *rest)), "INVALID_ARGUMENT", "flyte_url")


@pytest.mark.parametrize(
    "text", ["", "flyte://", "flyte://v2/a/b/c/n0/i", "http://v1/a/b/c/n0/i", "flyte://v1/a/b", "flyte://v1/../../../../i", "\0"]
)
def test_K_29_bad_urls(api, text):
    with_code = api.refusal(api.call, "GetData", Data(flyte_url=text))
    assert with_code.code in ("INVALID_ARGUMENT", "NOT_FOUND") and "flyte_url" in with_code.message


def test_A_123_unknown_run_node_and_attempt(api, registry, run):
    api.refused("GetData", Data(flyte_url=url(registry.execution_id("nobody"), "n0", "i")), "NOT_FOUND", "nobody")
    api.refused("GetData", Data(flyte_url=url(run, "n9", "i")), "NOT_FOUND", "n9")
    api.refused("GetData", Data(flyte_url=url(run, "n0", "7", "i")), "NOT_FOUND", "7")
    api.refused("GetData", Data(flyte_url=url(run, "n0", "d")), "NOT_FOUND", "deck")


def test_A_123_a_signed_url_of_the_run_is_no_longer_than_an_hour(api, run):
    data = api.call("GetData", Data(flyte_url=url(run, "start-node", "o")))
    assert data.literal_map == literals(x=5)
