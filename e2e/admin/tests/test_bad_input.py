"""Broken bytes, odd texts, paths and headers: refused clearly, never INTERNAL or UNKNOWN, and the platform lives."""

import json
import socket

import grpc
import pytest
from flyteidl.admin import common_pb2, execution_pb2, project_pb2
from flyteidl.core import literals_pb2
from google.rpc import status_pb2
from registry import DOMAIN, TASK, task_template
from transports import METHODS, Refusal, refusal_of, rest_refusal

RAW = sorted({f"/{method.containing_service.full_name}/{method.name}" for method in METHODS.values()})


@pytest.fixture(scope="module")
def send(channel):
    """Bytes to an rpc by its path; the bytes of the answer, or a Refusal."""

    def go(path: str, body: bytes, metadata=None):
        call = channel.unary_unary(path, request_serializer=lambda raw: raw, response_deserializer=lambda raw: raw)
        try:
            return call(body, timeout=30, metadata=metadata)
        except grpc.RpcError as error:
            return refusal_of(error)

    return go


@pytest.fixture(autouse=True)
def lives(api):
    """After each case, the platform answers."""
    yield
    api.call("GetDomains", project_pb2.GetDomainRequest())


@pytest.mark.parametrize("path", RAW)
@pytest.mark.parametrize(
    "body",
    [b"\xff" * 7, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05abc", b"\x0b\x0b\x0b", b"\x00\x01", b"\x0a\x02\xc3\x28"],
    ids=["noise", "length_of_4_GiB", "cut_short", "open_groups", "field_0", "no_utf_8"],
)
def test_bytes_that_are_no_message(send, path, body):
    answer = send(path, body)
    # A message without such a field skips it: then it was an empty request, which may be refused for what is missing.
    if isinstance(answer, Refusal):
        assert answer.code in ("INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"), answer


def test_no_utf_8_is_refused_where_a_text_stands(send):
    path = "/flyteidl.service.AdminService/GetProject"
    refusal = send(path, b"\x0a\x02\xc3\x28")
    assert refusal.code == "INVALID_ARGUMENT" and "UTF-8" in refusal.message, refusal


def test_deep_nesting(send):
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1))).SerializeToString()

    def field(number: int, body: bytes) -> bytes:
        length, out = len(body), bytearray([number << 3 | 2])
        while length > 127:
            out.append(length & 127 | 128)
            length >>= 7
        return bytes(out) + bytes([length]) + body

    # Literal.collection.literals of itself, 20,000 deep.
    for _ in range(20_000):
        literal = field(2, field(1, literal))
    entry = field(1, b"x") + field(2, literal)
    request = execution_pb2.ExecutionCreateRequest(project="flytesnacks", domain=DOMAIN, name="deep").SerializeToString()
    refusal = send("/flyteidl.service.AdminService/CreateExecution", request + field(5, field(1, entry)))
    assert isinstance(refusal, Refusal) and refusal.code == "INVALID_ARGUMENT", refusal


@pytest.mark.parametrize("name", ["CreateTask", "CreateExecution"])
def test_A_2_a_message_above_the_limit(api, send, name):
    refusal = send(f"/flyteidl.service.AdminService/{name}", b"\x7a" + b"\x80\x80\x80\x08" + b"x" * (16 * 1024 * 1024))
    assert refusal.code == "RESOURCE_EXHAUSTED" and "16777216" in refusal.message, refusal


def test_A_2_a_body_above_the_limit(http):
    body = json.dumps({"project": "flytesnacks", "domain": DOMAIN, "name": "x" * (17 * 1024 * 1024)})
    try:
        status, _, answer = http.send("POST", "/api/v1/executions", body)
    except (BrokenPipeError, ConnectionResetError):
        return  # refused before it was all sent
    assert status in (413, 429) and b"16777216" in answer


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("aloft-parent-attempt", "9" * 30),
        ("aloft-parent-attempt", "-1"),
        ("traceparent", "00-zz"),
        ("traceparent", "x" * 500),
        ("tracestate", "a=b," * 100),
        ("authorization", "Bearer ' OR 1=1"),
        ("flyte-authorization", "x" * 4000),
        ("cookie", "flyte_user_info=%00"),
        ("x-forwarded-for", "1.1.1.1, ' --"),
        ("grpc-metadata-aloft-parent-attempt", "1"),
    ],
)
def test_headers(api, http, header, value):
    api.call("GetDomains", project_pb2.GetDomainRequest(), metadata=[(header, value)])
    status, _, _ = http.send("GET", "/api/v1/domains", headers={header: value})
    assert status == 200


@pytest.mark.parametrize("timeout", ["0n", "1n", "x", "-1S", "99999999999H", "1"])
def test_timeouts_over_rest(http, timeout):
    status, _, _ = http.send("GET", "/api/v1/domains", headers={"grpc-timeout": timeout})
    assert status in (200, 499, 504)


PATHS = [
    "/api/v1/projects/..",
    "/api/v1/projects/..%2f..%2fetc%2fpasswd",
    "/api/v1/projects/%2e%2e",
    "/api/v1/projects/%00",
    "/api/v1/projects/%ff",
    "/api/v1/projects/%",
    "/api/v1/projects/%zz",
    "/api/v1/projects/%c0%ae",
    "/api/v1/projects/" + "a" * 5000,
    "/api/v1/projects/a;b=c",
    "/api/v1/projects/'%20OR%201=1--",
    "/api/v1/tasks/p/d/n%2Fx/v%2F..",
    "/api/v1/tasks/p//n/v",
    "/api/v1/tasks/p/d/n/v/extra",
    "/api/v1/executions/p/d/%0d%0ax-evil:%201",
    "/api/v1//projects",
    "//api/v1/projects/x",
    "/api/v1/../v1/projects/x",
    "/api/v1/unknown",
    "/api/v2/projects",
    "/api/v1/node_executions/p/d/n/..%2f..",
    "/api/v1/logs/p/d/x/..%2f..%2f/0",
    "/api/v1/decks/p/d/x/..%2f..",
    "/api/v1/history/p/d/..%2f..",
    "/console/../../etc/passwd",
    "/console/%2e%2e/%2e%2e/etc/passwd",
    "/console/assets/..%2f..%2fpackage.json",
]


@pytest.mark.parametrize("path", PATHS, ids=[path[:60] for path in PATHS])
def test_paths(http, path):
    status, headers, body = http.send("GET", path)
    assert status in (400, 404, 405) or (status == 200 and path.startswith(("/console", "/api/v1//", "//", "/api/v1/..")))
    assert b"root:" not in body and b'"dependencies"' not in body
    assert "x-evil" not in headers
    if status != 404 and path.startswith("/api/v1/projects/"):
        assert rest_refusal(status, body).code in ("INVALID_ARGUMENT", "NOT_FOUND")


@pytest.mark.parametrize("verb", ["PATCH", "DELETE", "PUT", "OPTIONS", "TRACE", "PROPFIND"])
def test_verbs_that_no_route_has(http, verb):
    status, _, _ = http.send(verb, "/api/v1/domains")
    assert status in (200, 204, 400, 404, 405)


QUERIES = [
    "limit=-1",
    "limit=1.5",
    "limit=99999999999999999999",
    "limit=1e3",
    "limit=NaN",
    "limit=",
    "limit=1&limit=x",
    "limit=1&token=%00",
    "limit=1&token=%ff",
    "limit=1&sort_by=x",
    "limit=1&sort_by.direction=SIDEWAYS",
    "limit=1&sort_by.key.x=y",
    "limit=1&filters=%00",
    "limit=1&filters=eq(name",
    "limit=1&filters=%F0%28%8C%28",
    "id[x]=y&limit=1",
]


@pytest.mark.parametrize("query", QUERIES)
def test_queries(http, registry, query):
    status, _, body = http.send("GET", f"/api/v1/executions/{registry.project}/{DOMAIN}?{query}")
    if query in ("id[x]=y&limit=1",):
        assert status in (200, 400)
    elif query == "limit=1&token=%ff":
        assert status == 400
    else:
        assert rest_refusal(status, body).code == "INVALID_ARGUMENT"


def test_parameters_that_name_no_field_are_left_out(http, registry):
    status, _, _ = http.send("GET", f"/api/v1/executions/{registry.project}/{DOMAIN}?limit=1&_=1234&utm_source=x")
    assert status == 200


BODIES = [
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b"{}}",
    b'{"project": 5}',
    b'{"project": {"id": 5}}',
    b'{"project": {"id": {"a": 1}}}',
    b'{"project": {"state": "NOWHERE"}}',
    b'{"project": {"state": 1e99}}',
    b'{"project": {"labels": {"values": ["a"]}}}',
    b'{"project": {"labels": {"values": {"a": 1}}}}',
    b'{"nothing": 1}',
    b'{"__proto__": {"project": {"id": "x"}}}',
    b'{"project": {"id": "a", "name": "\\ud800"}}',
    b'{"project": {"id": "a", "name": "\\u0000"}}',
    b"\xff\xfe{}",
    b"[" * 100_000,
    b'{"a":' * 50_000,
]


@pytest.mark.parametrize("body", BODIES, ids=[str(number) for number in range(len(BODIES))])
def test_bodies(http, body):
    status, _, answer = http.send("POST", "/api/v1/projects", body)
    assert rest_refusal(status, answer).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x"])
def test_content_types(http, kind):
    status, _, answer = http.send("POST", "/api/v1/projects", b"<project/>", {"content-type": kind})
    assert rest_refusal(status, answer).code == "INVALID_ARGUMENT"


def test_a_binary_body_that_is_no_message_is_refused_in_binary(http):
    kind = {"content-type": "application/octet-stream"}
    status, _, answer = http.send("POST", "/api/v1/projects", b"<project/>", kind)
    assert status == 400
    assert status_pb2.Status.FromString(answer).code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /api/v1/domains HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /api/v1/domains HTTP/9.9\r\n\r\n",
        b"GET /api/v1/domains\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
    ids=["both_lengths", "version", "nul_in_path", "tls", "long_header", "length", "chunk"],
)
def test_requests_that_are_no_http(http, raw):
    host, _, port = http.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        answer = b""
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionError:
            pass  # closed, which is an answer too
    assert answer == b"" or answer.split(b" ", 2)[1][:1] == b"4"


TEXTS = ["' OR '1'='1", "'; DROP TABLE tasks; --", "../../x", "a\r\nb", "\u202e", "%s%n", "${jndi:ldap://x}", "<script>", "\ufeff", "\\0"]


@pytest.mark.parametrize("text", TEXTS)
def test_odd_texts_are_kept_as_they_are(api, registry, name, text):
    request = registry.task_request(f"{name} {text}", version=text, template=task_template(text))
    request.spec.description.short_description = text
    api.call("CreateTask", request)
    found = api.read("GetTask", common_pb2.ObjectGetRequest(id=request.id))
    assert found.id == request.id and found.short_description == text
    assert list(found.closure.compiled_task.template.container.args) == [text]
    listed = common_pb2.ResourceListRequest(id=registry.named(request.id.name), limit=10)
    assert [task.id for task in api.read("ListTasks", listed).tasks] == [request.id]


@pytest.mark.parametrize(
    "place",
    [
        lambda r: setattr(r.id, "name", "a\0b"),
        lambda r: setattr(r.id, "version", "\0"),
        lambda r: setattr(r.id, "project", "\0"),
        lambda r: setattr(r.id, "org", "\0"),
        lambda r: setattr(r.spec.template, "type", "a\0b"),
        lambda r: setattr(r.spec.description, "short_description", "a\0b"),
    ],
    ids=["name", "version", "project", "org", "type", "short_description"],
)
def test_nul_where_it_would_be_stored(api, registry, name, place):
    request = registry.task_request(name)
    place(request)
    api.refused("CreateTask", request, "INVALID_ARGUMENT")


@pytest.mark.parametrize("org", ["nowhere", "' OR 1=1", "o" * 5000, "a/b"])
def test_an_org_that_is_not_there(api, registry, org):
    request = registry.task_request("e2e.org")
    request.id.org = org
    api.refused("CreateTask", request, "INVALID_ARGUMENT")
    named = registry.id(TASK, "e2e.org")
    named.org = org
    refusal = api.refusal(api.call, "GetTask", common_pb2.ObjectGetRequest(id=named))
    assert refusal.code in ("NOT_FOUND", "INVALID_ARGUMENT")


def test_rpcs_that_are_not_there(send):
    for path in ("/flyteidl.service.AdminService/Nothing", "/nothing.Nothing/Nothing", "/x", "/flyteidl.service.AdminService/"):
        assert send(path, b"").code == "UNIMPLEMENTED"


def test_long_messages_are_shortened_not_lost(api, registry, name):
    """Clients of the C core refuse trailers above 8 KiB: the message is cut, the code stays."""
    registry.task(name)
    changed = registry.task_request(name, template=task_template("x" * 100_000))
    refusal = api.refused("CreateTask", changed, "INVALID_ARGUMENT", name)
    assert len(refusal.message) < 8192


def test_quoted_values_of_a_message_are_not_headers(api):
    refusal = api.refused("GetProject", project_pb2.ProjectGetRequest(id="a\r\nx-evil: 1"), "NOT_FOUND")
    assert "x-evil" in refusal.message
