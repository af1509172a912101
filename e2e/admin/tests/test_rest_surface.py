"""What the HTTP API looks like, beside the calls themselves (A-1, K-38)."""

import gzip
import json
import re

import pytest
from flyteidl.admin import common_pb2, project_pb2, task_pb2, version_pb2
from google.rpc import status_pb2
from transports import METHODS, SERVICES, bindings

BINARY = "application/octet-stream"


@pytest.fixture(scope="module")
def task(registry):
    return registry.task("rest.task")


@pytest.fixture(scope="module")
def document(http) -> dict:
    status, headers, body = http.send("GET", "/api/v1/openapi")
    assert (status, headers["content-type"]) == (200, "application/json")
    return json.loads(body)


def path_of(task) -> str:
    return f"/api/v1/tasks/{task.project}/{task.domain}/{task.name}/{task.version}"


ROUTES = [
    pytest.param(verb, template, id=f"{verb} {template}")
    for service in SERVICES[:5]
    for method in service.methods
    for verb, template, _ in bindings(method)
]


@pytest.mark.parametrize(("verb", "template"), ROUTES)
def test_A_1_every_annotated_route_leads_to_its_rpc(http, verb, template):
    """A call that makes no sense is answered by the rpc, not by a server that knows no such path."""
    numbers = {"retry_attempt": "0", "resource_type": "TASK", "artifact_type": "ARTIFACT_TYPE_DECK"}
    path = re.sub(r"{([\w.]+)}", lambda field: numbers.get(field[1].split(".")[-1], "none"), template)
    status, _, body = http.send(verb, path, "{}" if verb in ("POST", "PUT") else None)
    answer = json.loads(body)
    assert status not in (405, 501), answer
    if status != 200:
        assert set(answer) == {"error", "code", "message", "details"}, answer
        assert "Cannot " not in answer["message"], answer


@pytest.mark.parametrize(("verb", "template"), ROUTES)
def test_A_1_every_annotated_route_is_in_the_openapi_document(document, verb, template):
    shape = re.sub(r"{[^}]+}", "{}", template)
    shapes = {re.sub(r"{[^}]+}", "{}", path): item for path, item in document["paths"].items()}
    assert verb.lower() in shapes[shape]


def test_A_1_openapi_document(document):
    assert document["openapi"].startswith("3.")
    schemas = document["components"]["schemas"]
    missing = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))) - set(schemas)
    assert not missing
    assert "Create and upload a" in document["paths"]["/api/v1/tasks"]["post"]["description"]


def test_A_1_openapi_page_comes_from_here_alone(http):
    status, headers, body = http.send("GET", "/api/v1/openapi", headers={"accept": "text/html"})
    assert status == 200 and headers["content-type"].startswith("text/html")
    parts = re.findall(r'(?:src|href)="([^"]+)"', body.decode())
    assert parts and all(part.startswith("/") for part in parts)
    for part in parts:
        assert http.send("GET", part)[0] == 200


def test_A_1_proto_names_zero_values_and_nulls(http, task):
    _, _, body = http.send("GET", path_of(task))
    answer = json.loads(body)
    template = answer["closure"]["compiled_task"]["template"]
    assert template["metadata"]["discoverable"] is False
    assert template["metadata"]["timeout"] is None
    assert template["extended_resources"] is None
    assert template["id"]["org"] == ""
    assert template["id"]["resource_type"] == "TASK"
    assert template["container"]["env"] == []
    assert "k8s_pod" not in template, "members of a oneof that are not set are left out"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", answer["closure"]["created_at"])


def test_A_1_64_bit_integers_are_text(http, registry):
    plan = registry.plan_of_one_task("rest.integers", inputs={})
    _, _, body = http.send(
        "POST",
        "/api/v1/executions",
        json.dumps({"project": registry.project, "domain": registry.domain, "spec": {"launchPlan": {"name": plan.name}}}),
    )
    assert json.loads(body)["code"] == 3
    _, _, body = http.send("GET", f"/api/v1/launch_plans/{plan.project}/{plan.domain}/{plan.name}/{plan.version}")
    assert json.loads(body)["spec"]["max_parallelism"] == 0


def test_A_1_binary_answers_and_bodies(http, registry, task):
    status, headers, body = http.send("GET", path_of(task), headers={"accept": BINARY})
    assert (status, headers["content-type"]) == (200, BINARY)
    assert task_pb2.Task.FromString(body).id == task
    request = registry.task_request("rest.binary").SerializeToString()
    status, headers, body = http.send("POST", "/api/v1/tasks", request, {"content-type": BINARY, "accept": BINARY})
    assert (status, headers["content-type"], body) == (200, BINARY, b"")
    status, _, body = http.send("POST", "/api/v1/tasks", request, {"content-type": BINARY, "accept": "application/json"})
    assert (status, json.loads(body)["code"]) == (409, 6)


def test_A_1_binary_errors_are_a_status(http, registry):
    path = f"/api/v1/tasks/{registry.project}/{registry.domain}/none/v1"
    status, headers, body = http.send("GET", path, headers={"accept": BINARY})
    assert (status, headers["content-type"]) == (404, BINARY)
    error = status_pb2.Status.FromString(body)
    assert error.code == 5 and "none" in error.message


def test_A_1_a_binary_body_that_is_no_message(http):
    headers = {"content-type": BINARY, "accept": "application/json"}
    status, _, body = http.send("POST", "/api/v1/tasks", b"\xff\xff\xff", headers)
    assert (status, json.loads(body)["code"]) == (400, 3)


@pytest.mark.parametrize("body", ["{", "[]", "3", '{"id": 3}', '{"nonsense": 1}', '"text"'])
def test_A_1_a_body_that_is_no_request(http, body):
    status, _, answer = http.send("POST", "/api/v1/tasks", body)
    assert (status, json.loads(answer)["code"]) == (400, 3)


def test_A_1_gzip_for_who_takes_it(http, document):
    _, plain, whole = http.send("GET", "/api/v1/openapi")
    _, headers, body = http.send("GET", "/api/v1/openapi", headers={"accept-encoding": "gzip, deflate"})
    assert "content-encoding" not in plain and headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == whole and len(body) < len(whole) / 3
    _, headers, _ = http.send("GET", "/api/v1/openapi", headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in headers


def test_A_1_gzip_of_a_list(http, registry):
    for i in range(8):
        registry.task(f"rest.many.{i}")
    path = f"/api/v1/tasks/{registry.project}/{registry.domain}?limit=20"
    _, _, plain = http.send("GET", path)
    _, headers, body = http.send("GET", path, headers={"accept-encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body)) == json.loads(plain)


def test_A_1_no_cors_unless_configured(http):
    _, headers, _ = http.send("GET", "/api/v1/version", headers={"origin": "https://elsewhere.example"})
    assert not [name for name in headers if name.startswith("access-control")]
    status, _, _ = http.send("OPTIONS", "/api/v1/version", headers={"origin": "https://elsewhere.example"})
    assert status == 405


def test_A_1_health(http):
    assert http.send("GET", "/healthcheck")[0] == 200


def test_A_1_query_parameters(http, registry, task):
    base = f"/api/v1/tasks/{registry.project}/{registry.domain}"
    good = f"{base}?limit=1&sort_by.key=created_at&sort_by.direction=ASCENDING&filters=eq(name,{task.name})&_=1"
    _, _, body = http.send("GET", good)
    assert [one["id"]["name"] for one in json.loads(body)["tasks"]] == [task.name]
    for query in ("limit=many", "sort_by.direction=UP", "sort_by=x", "limit=99999999999"):
        status, _, body = http.send("GET", f"{base}?{query}")
        assert (status, json.loads(body)["code"]) == (400, 3), query
        assert query.split("=")[0] in json.loads(body)["message"]


def test_A_1_names_are_escaped_in_paths(http, registry):
    id = registry.task("rest/with slash%")
    quoted = "rest%2Fwith%20slash%25"
    status, _, body = http.send("GET", f"/api/v1/tasks/{id.project}/{id.domain}/{quoted}/{id.version}")
    assert (status, json.loads(body)["id"]["name"]) == (200, id.name)
    assert http.send("GET", f"/api/v1/tasks/{id.project}/{id.domain}/%ff/v1")[0] == 400


def test_A_1_other_verbs_and_paths(http):
    status, headers, _ = http.send("DELETE", "/api/v1/executions")
    assert status == 405 and headers["allow"] == "POST"
    assert http.send("GET", "/api/v1/none-such")[0] == 404


def test_A_1_the_same_answer_in_json_and_binary(http, api):
    _, _, body = http.send("GET", "/api/v1/projects?limit=100", headers={"accept": BINARY})
    assert project_pb2.Projects.FromString(body) == api.rest("ListProjects", project_pb2.ProjectListRequest(limit=100))
    _, _, body = http.send("GET", "/api/v1/version", headers={"accept": BINARY})
    assert version_pb2.GetVersionResponse.FromString(body) == api.rest("GetVersion", version_pb2.GetVersionRequest())
    assert METHODS["ListTasks"].input_type == common_pb2.ResourceListRequest.DESCRIPTOR
