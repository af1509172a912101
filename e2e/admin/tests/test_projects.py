"""Projects, domains, version, names and descriptions (A-80…A-83, A-100…A-102, K-5)."""

import uuid

import pytest
from conftest import new_project
from flyteidl.admin import common_pb2, description_entity_pb2, project_pb2, version_pb2
from registry import DOMAIN, LAUNCH_PLAN, TASK, WORKFLOW, Registry, task_node, workflow_template

Project = project_pb2.Project


def project_of(**fields) -> Project:
    return Project(**{"id": f"p-{uuid.uuid4().hex[:12]}", "name": "a name", **fields})


def register(project):
    return project_pb2.ProjectRegisterRequest(project=project)


def labels(count: int) -> common_pb2.Labels:
    return common_pb2.Labels(values={f"k{i}": "v" for i in range(count)})


@pytest.mark.parametrize(
    ("fields", "mentions"),
    [
        pytest.param({"id": ""}, ("project.id",), id="no_id"),
        pytest.param({"id": "a" * 64}, ("project.id", "63"), id="id_of_64"),
        pytest.param({"id": "Upper"}, ("project.id", "Upper"), id="upper_case"),
        pytest.param({"id": "a_b"}, ("project.id", "a_b"), id="underscore"),
        pytest.param({"id": "-a"}, ("project.id", "-a"), id="dash_first"),
        pytest.param({"id": "a-"}, ("project.id", "a-"), id="dash_last"),
        pytest.param({"id": "a.b"}, ("project.id", "a.b"), id="dot"),
        pytest.param({"id": ".."}, ("project.id", ".."), id="dots"),
        pytest.param({"id": "a\n"}, ("project.id",), id="newline"),
        pytest.param({"name": ""}, ("project.name",), id="no_name"),
        pytest.param({"name": "n" * 65}, ("project.name", "65", "64"), id="name_of_65"),
        pytest.param({"name": "a\0b"}, ("project.name", "NUL"), id="nul_in_name"),
        pytest.param({"description": "d" * 301}, ("project.description", "301", "300"), id="description_of_301"),
        pytest.param({"description": "\0"}, ("project.description", "NUL"), id="nul_in_description"),
        pytest.param({"labels": labels(17)}, ("project.labels", "17", "16"), id="17_labels"),
        pytest.param({"labels": common_pb2.Labels(values={"a b": "c"})}, ("project.labels", "a b"), id="label_key"),
        pytest.param({"domains": [project_pb2.Domain(id="development")]}, ("project.domains",), id="domains"),
        pytest.param({"state": 9}, ("project.state", "9"), id="state_9"),
        pytest.param({"org": "o" * 256}, ("project.org", "63"), id="org_of_256"),
    ],
)
def test_A_80_refused(api, fields, mentions):
    api.refused("RegisterProject", register(project_of(**fields)), "INVALID_ARGUMENT", *mentions)


def test_A_80_no_project(api):
    api.refused("RegisterProject", project_pb2.ProjectRegisterRequest(), "INVALID_ARGUMENT", "project")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"id": f"a{uuid.uuid4().hex}".ljust(63, "x")}, id="id_of_63"),
        pytest.param({"id": f"9-{uuid.uuid4().hex}"}, id="digit_first"),
        pytest.param({"name": "n" * 64}, id="name_of_64"),
        pytest.param({"name": "𝄞" * 32}, id="name_of_wide_characters"),
        pytest.param({"description": "d" * 300}, id="description_of_300"),
        pytest.param({"labels": labels(16)}, id="16_labels"),
        pytest.param({"labels": common_pb2.Labels(values={"k" * 63: "v" * 63})}, id="longest_label"),
    ],
)
def test_A_80_accepted_and_read_back(api, fields):
    sent = project_of(**fields)
    api.rest("RegisterProject", register(sent))
    found = api.read("GetProject", project_pb2.ProjectGetRequest(id=sent.id))
    assert [domain.id for domain in found.domains] == ["development", "staging", "production"]
    found.ClearField("domains")
    if not sent.HasField("labels"):
        found.ClearField("labels")
    assert found == sent


def test_A_80_twice(api):
    sent = project_of()
    api.call("RegisterProject", register(sent))
    api.refused("RegisterProject", register(sent), "ALREADY_EXISTS", sent.id)


def test_A_80_update_writes_what_is_given(api):
    project = new_project(api, description="old", labels=labels(2))
    api.rest("UpdateProject", Project(id=project, name="new"))
    found = api.read("GetProject", project_pb2.ProjectGetRequest(id=project))
    assert (found.name, found.description, len(found.labels.values)) == ("new", "old", 2)
    api.call("UpdateProject", Project(id=project, description="newer", labels=labels(1)))
    found = api.read("GetProject", project_pb2.ProjectGetRequest(id=project))
    assert (found.name, found.description, len(found.labels.values)) == ("new", "newer", 1)


@pytest.mark.parametrize(
    ("fields", "mention"),
    [
        ({"name": "n" * 65}, "project.name"),
        ({"description": "d" * 301}, "project.description"),
        ({"labels": labels(17)}, "project.labels"),
        ({"state": 9}, "project.state"),
        ({"domains": [project_pb2.Domain(id="x")]}, "project.domains"),
    ],
)
def test_A_80_update_refused(api, project, fields, mention):
    api.refused("UpdateProject", Project(id=project, **fields), "INVALID_ARGUMENT", mention)


def test_K_6_unknown_project(api):
    api.refused("GetProject", project_pb2.ProjectGetRequest(id="nowhere"), "NOT_FOUND", "nowhere")
    api.refused("UpdateProject", Project(id="nowhere", name="x"), "NOT_FOUND", "nowhere")


def listed(api, **request):
    return [one.id for one in api.read("ListProjects", project_pb2.ProjectListRequest(**request)).projects]


def test_A_81_archived_ones_are_hidden_unless_asked_for(api):
    project = new_project(api)
    assert project in listed(api)
    api.call("UpdateProject", Project(id=project, state=Project.ARCHIVED))
    assert project not in listed(api)
    assert project in listed(api, filters="eq(state,1)")
    api.call("UpdateProject", Project(id=project))
    assert project in listed(api)


def test_A_81_pages_and_sorts(api):
    first = listed(api, limit=2)
    assert len(first) == 2
    assert listed(api, limit=2, token="2") == listed(api)[2:4]
    assert listed(api, sort_by=common_pb2.Sort(key="identifier")) == sorted(listed(api), reverse=True)


@pytest.mark.parametrize(
    ("request_", "mention"),
    [
        ({"filters": "eq(colour,red)"}, "colour"),
        ({"token": "abc"}, "token"),
        ({"sort_by": common_pb2.Sort(key="colour")}, "sort_by.key"),
        ({"filters": "eq(execution.name,x)"}, "execution"),
    ],
)
def test_A_81_refused(api, request_, mention):
    api.refused("ListProjects", project_pb2.ProjectListRequest(**request_), "INVALID_ARGUMENT", mention)


def test_A_82_domains(api):
    found = api.read("GetDomains", project_pb2.GetDomainRequest()).domains
    assert [(one.id, one.name) for one in found] == [(one, one) for one in ("development", "staging", "production")]


def test_A_102_version(api):
    version = api.read("GetVersion", version_pb2.GetVersionRequest()).control_plane_version
    assert version.Version and version.BuildTime


@pytest.mark.parametrize(("part", "value"), [("project", "nowhere"), ("domain", "moon")])
def test_K_5_unknown_project_or_domain(api, registry, name, part, value):
    task = registry.task(name)
    workflow = registry.workflow(name, workflow_template([task_node(task)]))
    for rpc, request in [
        ("CreateTask", registry.task_request(f"{name}.2")),
        ("CreateWorkflow", registry.workflow_request(f"{name}.2", workflow_template([task_node(task)]))),
        ("CreateLaunchPlan", registry.launch_plan_request(f"{name}.2", workflow)),
    ]:
        setattr(request.id, part, value)
        api.refused(rpc, request, "INVALID_ARGUMENT", f"id.{part}", value)


def test_K_5_archived_project(api, name):
    registry = Registry(api, new_project(api))
    task = registry.task(name)
    workflow = registry.workflow(name, workflow_template([task_node(task)]))
    api.call("UpdateProject", Project(id=registry.project, state=Project.ARCHIVED))
    for rpc, request in [
        ("CreateTask", registry.task_request(f"{name}.2")),
        ("CreateWorkflow", registry.workflow_request(f"{name}.2", workflow_template([task_node(task)]))),
        ("CreateLaunchPlan", registry.launch_plan_request(f"{name}.2", workflow)),
    ]:
        refusal = api.refused(rpc, request, "INVALID_ARGUMENT", registry.project)
        assert refusal.detail(project_pb2.InactiveProject).id == registry.project


# Names over all versions


def entity(registry, kind, name):
    return common_pb2.NamedEntityGetRequest(resource_type=kind, id=registry.named(name))


def change(registry, kind, name, **metadata):
    return common_pb2.NamedEntityUpdateRequest(
        resource_type=kind, id=registry.named(name), metadata=common_pb2.NamedEntityMetadata(**metadata)
    )


@pytest.mark.parametrize("kind", [TASK, WORKFLOW, LAUNCH_PLAN])
def test_A_100_describe_archive_and_back(api, registry, name, kind):
    registry.plan_of_one_task(name)
    assert api.read("GetNamedEntity", entity(registry, kind, name)).metadata == common_pb2.NamedEntityMetadata()
    api.rest("UpdateNamedEntity", change(registry, kind, name, description="d", state=common_pb2.NAMED_ENTITY_ARCHIVED))
    found = api.read("GetNamedEntity", entity(registry, kind, name))
    assert found.metadata == common_pb2.NamedEntityMetadata(description="d", state=common_pb2.NAMED_ENTITY_ARCHIVED)
    assert found.id == registry.named(name) and found.resource_type == kind

    def names(filters):
        request = common_pb2.NamedEntityListRequest(
            resource_type=kind, project=registry.project, domain=DOMAIN, limit=1000, filters=filters
        )
        return {one.id.name for one in api.read("ListNamedEntities", request).entities}

    assert name in names("eq(state,1)") and name not in names("eq(state,0)") and name in names("")
    api.call("UpdateNamedEntity", change(registry, kind, name))
    assert name in names("eq(state,0)")


def test_A_100_archiving_hides_only(api, registry, name):
    plan = registry.plan_of_one_task(name)
    api.call("UpdateNamedEntity", change(registry, LAUNCH_PLAN, name, state=common_pb2.NAMED_ENTITY_ARCHIVED))
    registry.execute(plan)


@pytest.mark.parametrize("kind", [0, 4])
def test_A_100_other_types_have_no_names(api, registry, name, kind):
    api.refused("GetNamedEntity", entity(registry, kind, name), "INVALID_ARGUMENT", "resource_type")
    api.refused("UpdateNamedEntity", change(registry, kind, name), "INVALID_ARGUMENT", "resource_type")
    scope = {"project": registry.project, "domain": DOMAIN, "limit": 1}
    api.refused(
        "ListNamedEntities", common_pb2.NamedEntityListRequest(resource_type=kind, **scope), "INVALID_ARGUMENT", "resource_type"
    )


def test_A_100_unknown_name(api, registry, name):
    api.refused("GetNamedEntity", entity(registry, TASK, name), "NOT_FOUND", name)
    api.refused("UpdateNamedEntity", change(registry, TASK, name), "NOT_FOUND", name)


@pytest.mark.parametrize(
    ("metadata", "mention"),
    [({"description": "d" * 301}, "metadata.description"), ({"state": 9}, "metadata.state"), ({"description": "\0"}, "NUL")],
)
def test_A_100_refused(api, registry, name, metadata, mention):
    registry.task(name)
    api.refused("UpdateNamedEntity", change(registry, TASK, name, **metadata), "INVALID_ARGUMENT", mention)


def test_A_100_without_metadata(api, registry, name):
    registry.task(name)
    request = change(registry, TASK, name)
    request.ClearField("metadata")
    api.refused("UpdateNamedEntity", request, "INVALID_ARGUMENT", "metadata")


@pytest.mark.parametrize("part", ["project", "domain", "name"])
def test_A_100_incomplete_name(api, registry, name, part):
    request = entity(registry, TASK, name)
    request.id.ClearField(part)
    api.refused("GetNamedEntity", request, "INVALID_ARGUMENT", f"id.{part}")


def test_A_100_description_of_300(api, registry, name):
    registry.task(name)
    api.call("UpdateNamedEntity", change(registry, TASK, name, description="d" * 300))


@pytest.mark.parametrize("kind", [TASK, WORKFLOW])
def test_A_101_descriptions(api, registry, name, kind):
    task = registry.task(f"{name}.task")
    for version in ("v1", "v2"):
        request = (
            registry.task_request(name, version)
            if kind == TASK
            else registry.workflow_request(name, workflow_template([task_node(task)]), version)
        )
        request.spec.description.short_description = f"short {version}"
        request.spec.description.long_description.value = "long"
        request.spec.description.tags.append("a tag")
        api.call("CreateTask" if kind == TASK else "CreateWorkflow", request)
    found = api.read("GetDescriptionEntity", common_pb2.ObjectGetRequest(id=registry.id(kind, name, "v2")))
    assert found.short_description == "short v2" and list(found.tags) == ["a tag"]
    request = description_entity_pb2.DescriptionEntityListRequest(resource_type=kind, id=registry.named(name), limit=10)
    listed = api.read("ListDescriptionEntities", request).descriptionEntities
    assert [one.id.version for one in listed] == ["v1", "v2"]


def test_A_101_refused(api, registry, name):
    api.refused(
        "GetDescriptionEntity", common_pb2.ObjectGetRequest(id=registry.id(TASK, name)), "NOT_FOUND", name
    )
    request = description_entity_pb2.DescriptionEntityListRequest(resource_type=TASK, id=registry.named(), limit=10)
    api.refused("ListDescriptionEntities", request, "INVALID_ARGUMENT", "id.name")
    api.refused("GetDescriptionEntity", common_pb2.ObjectGetRequest(id=registry.id(4, name)), "INVALID_ARGUMENT", "resource_type")


def test_A_100_generated_names_are_hidden_also_when_a_filter_names_another_column(api, registry):
    request = common_pb2.NamedEntityListRequest(
        resource_type=WORKFLOW, project=registry.project, domain=DOMAIN, limit=1000, filters="eq(state,2)"
    )
    task = registry.task("e2e.single")
    registry.execute(task)
    assert ".flytegen.e2e.single" in {one.id.name for one in api.read("ListNamedEntities", request).entities}
