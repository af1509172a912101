"""Tasks (A-10…A-12)."""

import pytest
from flyteidl.core import tasks_pb2
from registry import task_template

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
