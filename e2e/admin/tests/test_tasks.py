"""Tasks (A-10…A-12)."""

import json
import time

import pytest
from conftest import new_project
from flyteidl.admin import common_pb2, matchable_resource_pb2, project_domain_attributes_pb2
from flyteidl.core import tasks_pb2
from google.protobuf import json_format
from registry import INTEGER, STRING, TASK, WORKFLOW, Registry, task_template
from transports import Refusal

Resources = tasks_pb2.Resources


def with_resources(requests=(), limits=()) -> tasks_pb2.TaskTemplate:
    template = task_template()
    for given, entries in [(template.container.resources.requests, requests), (template.container.resources.limits, limits)]:
        given.extend(Resources.ResourceEntry(name=name, value=value) for name, value in entries)
    return template


def test_K_1_same_task_twice(api, registry, name):
    request = registry.task_request(name)
    api.call("CreateTask", request)
    api.refused("CreateTask", request, "ALREADY_EXISTS", name)


def test_K_2_other_image_under_the_same_version(api, registry, name):
    registry.task(name)
    changed = registry.task_request(name)
    changed.spec.template.container.image = "other:1"
    api.refused("CreateTask", changed, "INVALID_ARGUMENT", name, "image", "other:1", "local")


@pytest.mark.parametrize(
    ("requests", "limits", "mentions"),
    [
        pytest.param([(Resources.CPU, "2")], [(Resources.CPU, "1")], ("cpu", "2", "1"), id="request_above_limit"),
        pytest.param([(Resources.GPU, "500m")], [(Resources.GPU, "500m")], ("gpu", "500m"), id="gpu_in_parts"),
        pytest.param([(Resources.GPU, "1")], [(Resources.GPU, "2")], ("gpu", "1", "2"), id="gpu_request_is_not_the_limit"),
        pytest.param([(Resources.CPU, "1"), (Resources.CPU, "1")], [], ("cpu",), id="twice"),
        pytest.param([(Resources.CPU, "many")], [], ("cpu", "many"), id="no_quantity"),
    ],
)
def test_K_3_resources(api, registry, name, requests, limits, mentions):
    request = registry.task_request(name, template=with_resources(requests, limits))
    refusal = api.refused("CreateTask", request, "INVALID_ARGUMENT", "spec.template.container.resources")
    assert all(mention in refusal.message.lower() for mention in mentions), refusal


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        pytest.param(lambda t: t.ClearField("type"), "spec.template.type", id="type"),
        pytest.param(lambda t: t.ClearField("interface"), "spec.template.interface", id="interface"),
        pytest.param(lambda t: t.ClearField("metadata"), "spec.template.metadata", id="metadata"),
        pytest.param(lambda t: t.metadata.runtime.ClearField("version"), "runtime.version", id="runtime_version"),
        pytest.param(lambda t: t.container.ClearField("image"), "container.image", id="image"),
    ],
)
def test_K_4_without(api, registry, name, break_it, field):
    request = registry.task_request(name)
    break_it(request.spec.template)
    api.refused("CreateTask", request, "INVALID_ARGUMENT", field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(lambda r: r.ClearField("id"), "id", id="no_id"),
        pytest.param(lambda r: r.id.ClearField("project"), "id.project", id="no_project"),
        pytest.param(lambda r: r.id.ClearField("domain"), "id.domain", id="no_domain"),
        pytest.param(lambda r: r.id.ClearField("name"), "id.name", id="no_name"),
        pytest.param(lambda r: r.id.ClearField("version"), "id.version", id="no_version"),
        pytest.param(lambda r: setattr(r.id, "resource_type", WORKFLOW), "id.resource_type", id="type_of_a_workflow"),
        pytest.param(lambda r: setattr(r.id, "name", "n" * 256), "id.name", id="name_of_256"),
        pytest.param(lambda r: setattr(r.id, "version", "v" * 256), "id.version", id="version_of_256"),
        pytest.param(lambda r: r.ClearField("spec"), "spec.template", id="no_spec"),
        pytest.param(lambda r: setattr(r.spec.template, "type", "t" * 256), "spec.template.type", id="type_of_256"),
    ],
)
def test_A_5_identifier(api, registry, name, change, field):
    request = registry.task_request(name)
    change(request)
    api.refused("CreateTask", request, "INVALID_ARGUMENT", field)


@pytest.mark.parametrize("part", ["name", "version"])
@pytest.mark.parametrize("text", ["n" * 255, "é" * 255, "𝄞" * 127, "a b/c%2F..?#&=+", "näme\nwith\ttabs", "-"])
def test_A_5_longest_and_oddest_parts_read_back(api, registry, name, part, text):
    request = registry.task_request(name)
    setattr(request.id, part, text)
    api.call("CreateTask", request)
    assert api.read("GetTask", common_pb2.ObjectGetRequest(id=request.id)).id == request.id


def test_A_10_pod_spec_without_containers(api, registry, name):
    request = registry.task_request(name)
    request.spec.template.k8s_pod.pod_spec.update({"containers": []})
    api.refused("CreateTask", request, "INVALID_ARGUMENT", "spec.template.k8s_pod.pod_spec.containers")


def test_A_10_pod_spec_with_a_container(api, registry, name):
    request = registry.task_request(name)
    request.spec.template.k8s_pod.pod_spec.update({"containers": [{"name": "primary", "image": "x"}]})
    api.call("CreateTask", request)


def test_A_10_requests_up_to_the_limit(api, registry, name):
    same = [(Resources.CPU, "500m"), (Resources.MEMORY, "1Gi"), (Resources.EPHEMERAL_STORAGE, "1e9"), (Resources.GPU, "1")]
    registry.task(name, template=with_resources(same, same))


@pytest.mark.parametrize(("value", "code"), [("2", None), ("2001m", "INVALID_ARGUMENT")])
def test_K_3_platform_limit_of_the_project(api, name, value, code):
    registry = Registry(api, new_project(api))
    limits = matchable_resource_pb2.TaskResourceSpec(cpu="2")
    attributes = matchable_resource_pb2.MatchingAttributes(
        task_resource_attributes=matchable_resource_pb2.TaskResourceAttributes(limits=limits)
    )
    of_project = project_domain_attributes_pb2.ProjectDomainAttributes(
        project=registry.project, domain=registry.domain, matching_attributes=attributes
    )
    api.call(
        "UpdateProjectDomainAttributes",
        project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest(attributes=of_project),
    )
    request = registry.task_request(name, template=with_resources([], [(Resources.CPU, value)]))
    if code:
        refusal = api.refused("CreateTask", request, code, value, "2", "spec.template.container.resources")
        assert "cpu" in refusal.message.lower()
    else:
        api.call("CreateTask", request)


def test_A_11_the_diff_is_readable_and_the_first_stays(api, registry, name):
    first = registry.task_request(name)
    api.call("CreateTask", first)
    changed = registry.task_request(name, template=task_template("false"))
    assert "\n" in api.refused("CreateTask", changed, "INVALID_ARGUMENT", "args", "true", "false").message
    kept = api.read("GetTask", common_pb2.ObjectGetRequest(id=first.id))
    assert list(kept.closure.compiled_task.template.container.args) == ["true"]


def test_A_11_order_of_maps_does_not_matter(api, registry, name):
    one, other = ({"a": INTEGER, "b": STRING}, {"b": STRING, "a": INTEGER})
    registry.task(name, template=task_template(inputs=one))
    api.refused("CreateTask", registry.task_request(name, template=task_template(inputs=other)), "ALREADY_EXISTS")


def test_A_11_same_name_in_another_domain_is_another_task(api, registry, project, name):
    registry.task(name)
    Registry(api, project, "staging").task(name)


def test_A_12_get_gives_what_was_registered(api, registry, name):
    template = task_template("echo", {"x": INTEGER}, {"y": STRING}, config={"k": "v"})
    template.custom.update({"nested": {"list": [1, "a", None]}})
    request = registry.task_request(name, template=template)
    api.call("CreateTask", request)
    task = api.read("GetTask", common_pb2.ObjectGetRequest(id=request.id))
    assert task.id == request.id
    assert task.closure.compiled_task.template == request.spec.template
    assert task.closure.created_at.seconds > 0


def test_K_6_unknown_task(api, registry, name):
    api.refused("GetTask", common_pb2.ObjectGetRequest(id=registry.id(TASK, name)), "NOT_FOUND", name, "v1")


def test_A_12_get_with_the_type_of_a_workflow(api, registry, name):
    with pytest.raises(Refusal) as refusal:
        api.call("GetTask", common_pb2.ObjectGetRequest(id=registry.id(WORKFLOW, name)))
    assert refusal.value.code == "INVALID_ARGUMENT" and "resource_type" in refusal.value.message


def test_A_101_the_description_of_a_task(api, registry, name):
    request = registry.task_request(name)
    request.spec.description.short_description = "what it does"
    request.spec.description.long_description.value = "at length"
    request.spec.description.source_code.link = "https://example.com/x"
    api.call("CreateTask", request)
    found = api.read("GetDescriptionEntity", common_pb2.ObjectGetRequest(id=request.id))
    assert found.id == request.id and found.long_description.value == "at length"
    assert api.read("GetTask", common_pb2.ObjectGetRequest(id=request.id)).short_description == "what it does"


def test_K_38_http_statuses_and_the_body_of_an_error(api, http, registry, name):
    """As `api.refused` checks them in every case; here with nothing of ours in between."""
    body = json_format.MessageToJson(registry.task_request(name), preserving_proto_field_name=True)
    assert http.send("POST", "/api/v1/tasks", body)[0] == 200
    for status, code, (verb, path, sent) in [
        (409, 6, ("POST", "/api/v1/tasks", body)),
        (404, 5, ("GET", f"/api/v1/tasks/{registry.project}/{registry.domain}/{name}/v9", None)),
        (400, 3, ("POST", "/api/v1/tasks", body.replace("local", ""))),
    ]:
        got, headers, answer = http.send(verb, path, sent)
        error = json.loads(answer)
        assert (got, error["code"], headers["content-type"]) == (status, code, "application/json")
        assert error["error"] == error["message"] and error["details"] == []


def test_K_38_details_in_the_body_of_an_error(api, http, registry, name):
    execution = registry.execute(registry.plan_of_one_task(name))
    path = f"/api/v1/executions/{execution.project}/{execution.domain}/{execution.name}"
    deadline = time.monotonic() + 60
    while json.loads(http.send("GET", path)[2])["closure"]["phase"] != "SUCCEEDED":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    status, _, answer = http.send("DELETE", path, json.dumps({"cause": "late"}))
    [detail] = json.loads(answer)["details"]
    assert status == 400 and detail["@type"].endswith("flyteidl.admin.EventFailureReason")
    assert detail["already_in_terminal_state"] == {"current_phase": "SUCCEEDED"}
