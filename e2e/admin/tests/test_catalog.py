"""DataCatalog and CacheService (A-140…A-150, Q-8, Q-14)."""

import time
import uuid

import pytest
from flyteidl.cacheservice import cacheservice_pb2
from flyteidl.datacatalog import datacatalog_pb2
from google.protobuf import duration_pb2
from registry import literals, primitive

Artifact, ArtifactData, Dataset, DatasetID, Partition, Tag = (
    datacatalog_pb2.Artifact,
    datacatalog_pb2.ArtifactData,
    datacatalog_pb2.Dataset,
    datacatalog_pb2.DatasetID,
    datacatalog_pb2.Partition,
    datacatalog_pb2.Tag,
)


@pytest.fixture
def dataset(api, name) -> DatasetID:
    return created(api, name)


def dataset_id(name, **fields) -> DatasetID:
    return DatasetID(**{"project": "p", "domain": "d", "name": name, "version": "v", **fields})


def created(api, name, keys=(), **fields) -> DatasetID:
    id = dataset_id(name, **fields)
    dataset = Dataset(id=id, partitionKeys=keys, metadata=datacatalog_pb2.Metadata(key_map={"k": "v"}))
    api.call("CreateDataset", datacatalog_pb2.CreateDatasetRequest(dataset=dataset))
    return id


def artifact_of(dataset, id=None, value=1, **fields) -> Artifact:
    data = [ArtifactData(name="o0", value=primitive(value))]
    return Artifact(**{"id": id or uuid.uuid4().hex, "dataset": dataset, "data": data, **fields})


def put(api, dataset, **fields) -> Artifact:
    artifact = artifact_of(dataset, **fields)
    api.call("CreateArtifact", datacatalog_pb2.CreateArtifactRequest(artifact=artifact))
    return artifact


def get(dataset=None, **handle):
    return datacatalog_pb2.GetArtifactRequest(dataset=dataset, **handle)


def tag(dataset, name, artifact):
    return datacatalog_pb2.AddTagRequest(tag=Tag(dataset=dataset, name=name, artifact_id=artifact))


def test_K_34_dataset_twice(api, dataset):
    request = datacatalog_pb2.CreateDatasetRequest(dataset=Dataset(id=dataset))
    api.refused("CreateDataset", request, "ALREADY_EXISTS", dataset.name)


def test_A_140_read_back(api, dataset):
    found = api.call("GetDataset", datacatalog_pb2.GetDatasetRequest(dataset=dataset)).dataset
    assert found.id.name == dataset.name and found.metadata.key_map["k"] == "v" and found.id.UUID
    by_uuid = datacatalog_pb2.GetDatasetRequest(dataset=DatasetID(UUID=found.id.UUID))
    assert api.call("GetDataset", by_uuid).dataset == found


@pytest.mark.parametrize("part", ["project", "domain", "name", "version"])
def test_A_140_incomplete(api, name, part):
    id = dataset_id(name)
    id.ClearField(part)
    request = datacatalog_pb2.CreateDatasetRequest(dataset=Dataset(id=id))
    api.refused("CreateDataset", request, "INVALID_ARGUMENT", part)
    api.refused("GetDataset", datacatalog_pb2.GetDatasetRequest(dataset=id), "INVALID_ARGUMENT", part)


@pytest.mark.parametrize(
    ("fields", "mention"),
    [
        ({"partitionKeys": ["a", "a"]}, "a"),
        ({"partitionKeys": [""]}, "partitionKeys"),
        ({"id": DatasetID(project="p", domain="d", name="n" * 5000, version="v")}, "name"),
        ({"id": DatasetID(project="p", domain="d", name="a\0b", version="v")}, "NUL"),
    ],
)
def test_A_140_refused(api, name, fields, mention):
    dataset = Dataset(**{"id": dataset_id(name), **fields})
    api.refused("CreateDataset", datacatalog_pb2.CreateDatasetRequest(dataset=dataset), "INVALID_ARGUMENT", mention)


def test_A_140_no_dataset(api):
    api.refused("CreateDataset", datacatalog_pb2.CreateDatasetRequest(), "INVALID_ARGUMENT", "dataset")
    api.refused("GetDataset", datacatalog_pb2.GetDatasetRequest(dataset=DatasetID(UUID="x")), "INVALID_ARGUMENT", "UUID", "x")
    api.refused("GetDataset", datacatalog_pb2.GetDatasetRequest(dataset=dataset_id("none.such")), "NOT_FOUND", "none.such")


def test_K_34_artifact_without_dataset(api, name):
    request = datacatalog_pb2.CreateArtifactRequest(artifact=artifact_of(dataset_id(name)))
    api.refused("CreateArtifact", request, "NOT_FOUND", name)


def test_A_142_by_id_and_by_tag(api, dataset):
    artifact = put(api, dataset, value=7)
    api.call("AddTag", tag(dataset, "latest", artifact.id))
    for request in (get(dataset, artifact_id=artifact.id), get(artifact_id=artifact.id), get(dataset, tag_name="latest")):
        found = api.call("GetArtifact", request).artifact
        assert found.id == artifact.id and found.data == artifact.data and [one.name for one in found.tags] == ["latest"]


def test_K_34_tag_twice(api, dataset):
    artifact, other = put(api, dataset), put(api, dataset)
    api.call("AddTag", tag(dataset, "latest", artifact.id))
    api.refused("AddTag", tag(dataset, "latest", other.id), "ALREADY_EXISTS", "latest")


def test_K_34_unknown_tag(api, dataset):
    api.refused("GetArtifact", get(dataset, tag_name="none-such"), "NOT_FOUND", "none-such")


@pytest.mark.parametrize(
    ("change", "code", "mention"),
    [
        (lambda a: a.ClearField("id"), "INVALID_ARGUMENT", "artifact.id"),
        (lambda a: a.ClearField("dataset"), "INVALID_ARGUMENT", "artifact.dataset"),
        (lambda a: a.ClearField("data"), "INVALID_ARGUMENT", "data"),
        (lambda a: a.data[0].ClearField("name"), "INVALID_ARGUMENT", "data[0].name"),
        (lambda a: a.data[0].ClearField("value"), "INVALID_ARGUMENT", "data[0]"),
        (lambda a: a.partitions.append(Partition(key="x", value="y")), "INVALID_ARGUMENT", "x"),
        (lambda a: setattr(a, "id", "i" * 5000), "INVALID_ARGUMENT", "id"),
    ],
)
def test_A_141_refused(api, dataset, change, code, mention):
    artifact = artifact_of(dataset)
    change(artifact)
    api.refused("CreateArtifact", datacatalog_pb2.CreateArtifactRequest(artifact=artifact), code, mention)


def test_A_141_the_same_id_twice(api, dataset):
    artifact = put(api, dataset)
    request = datacatalog_pb2.CreateArtifactRequest(artifact=artifact)
    api.refused("CreateArtifact", request, "ALREADY_EXISTS", artifact.id)


@pytest.mark.parametrize(
    ("partitions", "mention"),
    [([], "day"), ([("day", "")], "day"), ([("day", "1"), ("hour", "2")], "hour"), ([("day", "1"), ("day", "2")], "day")],
)
def test_Q_14_partitions_are_exactly_the_keys(api, name, partitions, mention):
    dataset = created(api, name, ["day"])
    artifact = artifact_of(dataset, partitions=[Partition(key=key, value=value) for key, value in partitions])
    api.refused("CreateArtifact", datacatalog_pb2.CreateArtifactRequest(artifact=artifact), "INVALID_ARGUMENT", mention)


@pytest.mark.parametrize(
    ("request_", "code", "mention"),
    [
        (get(), "INVALID_ARGUMENT", "query_handle"),
        (get(tag_name="x"), "INVALID_ARGUMENT", "dataset"),
        (get(artifact_id="none-such"), "NOT_FOUND", "none-such"),
    ],
)
def test_A_142_refused(api, request_, code, mention):
    api.refused("GetArtifact", request_, code, mention)


@pytest.mark.parametrize(
    ("fields", "code", "mention"),
    [
        ({"name": ""}, "INVALID_ARGUMENT", "tag.name"),
        ({"artifact_id": ""}, "INVALID_ARGUMENT", "tag.artifact_id"),
        ({"artifact_id": "none-such"}, "NOT_FOUND", "none-such"),
        ({"name": "t" * 5000}, "INVALID_ARGUMENT", "tag.name"),
    ],
)
def test_A_143_refused(api, dataset, fields, code, mention):
    artifact = put(api, dataset)
    given = {"dataset": dataset, "name": "t", "artifact_id": artifact.id, **fields}
    api.refused("AddTag", datacatalog_pb2.AddTagRequest(tag=Tag(**given)), code, mention)


def test_A_144_update(api, dataset):
    artifact = put(api, dataset)
    api.call("AddTag", tag(dataset, "latest", artifact.id))
    data = [ArtifactData(name="new", value=primitive(2))]
    request = datacatalog_pb2.UpdateArtifactRequest(dataset=dataset, tag_name="latest", data=data)
    assert api.call("UpdateArtifact", request).artifact_id == artifact.id
    assert list(api.call("GetArtifact", get(dataset, artifact_id=artifact.id)).artifact.data) == data
    request.ClearField("data")
    api.refused("UpdateArtifact", request, "INVALID_ARGUMENT", "data")
    request = datacatalog_pb2.UpdateArtifactRequest(dataset=dataset, tag_name="none-such", data=data)
    api.refused("UpdateArtifact", request, "NOT_FOUND", "none-such")


def paged(api, rpc, request, field):
    seen = []
    for _ in range(100):
        answer = api.call(rpc, request)
        seen.extend(getattr(answer, field))
        if not answer.next_token:
            return seen
        request.pagination.token = answer.next_token
    raise AssertionError("pages without end")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_Q_8_pages_end(api, dataset, limit):
    ids = {put(api, dataset).id for _ in range(4)}
    page = datacatalog_pb2.PaginationOptions(limit=limit, sortOrder=datacatalog_pb2.PaginationOptions.ASCENDING)
    request = datacatalog_pb2.ListArtifactsRequest(dataset=dataset, pagination=page)
    found = [one.id for one in paged(api, "ListArtifacts", request, "artifacts")]
    assert set(found) == ids and len(found) == 4


def test_A_145_filters(api, dataset):
    artifact, _ = put(api, dataset), put(api, dataset)
    api.call("AddTag", tag(dataset, "one", artifact.id))
    by_tag = datacatalog_pb2.SinglePropertyFilter(tag_filter=datacatalog_pb2.TagPropertyFilter(tag_name="one"))
    expression = datacatalog_pb2.FilterExpression(filters=[by_tag])
    request = datacatalog_pb2.ListArtifactsRequest(dataset=dataset, filter=expression)
    assert [one.id for one in api.call("ListArtifacts", request).artifacts] == [artifact.id]
    by_name = datacatalog_pb2.SinglePropertyFilter(dataset_filter=datacatalog_pb2.DatasetPropertyFilter(name=dataset.name))
    datasets = datacatalog_pb2.ListDatasetsRequest(filter=datacatalog_pb2.FilterExpression(filters=[by_name]))
    assert [one.id.name for one in api.call("ListDatasets", datasets).datasets] == [dataset.name]
    crossed = datacatalog_pb2.ListDatasetsRequest(filter=expression)
    api.refused("ListDatasets", crossed, "INVALID_ARGUMENT", "datasets can be filtered by")


@pytest.mark.parametrize("token", ["abc", "-1", "9" * 30, "1;2"])
def test_A_145_tokens(api, dataset, token):
    page = datacatalog_pb2.PaginationOptions(token=token)
    for rpc, request in [
        ("ListArtifacts", datacatalog_pb2.ListArtifactsRequest(dataset=dataset, pagination=page)),
        ("ListDatasets", datacatalog_pb2.ListDatasetsRequest(pagination=page)),
    ]:
        api.refused(rpc, request, "INVALID_ARGUMENT", "token", token)


def reserve(dataset, owner, beat=1, tag="t"):
    return datacatalog_pb2.GetOrExtendReservationRequest(
        reservation_id=datacatalog_pb2.ReservationID(dataset_id=dataset, tag_name=tag),
        owner_id=owner,
        heartbeat_interval=duration_pb2.Duration(seconds=beat) if beat >= 1 else duration_pb2.Duration(nanos=int(beat * 1e9)),
    )


def test_K_35_reservations(api, name):
    dataset = dataset_id(name)

    def holder(owner, beat=0.1):
        return api.call("GetOrExtendReservation", reserve(dataset, owner, beat)).reservation.owner_id

    assert (holder("A", 10), holder("B")) == ("A", "A")
    assert holder("A") == "A"  # from here on with a beat of 100 ms
    deadline = time.monotonic() + 20
    while holder("B") != "B":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    release = datacatalog_pb2.ReleaseReservationRequest(
        reservation_id=datacatalog_pb2.ReservationID(dataset_id=dataset, tag_name="t"), owner_id="B"
    )
    api.call("ReleaseReservation", release)
    api.call("ReleaseReservation", release)
    assert holder("C") == "C"


def test_A_146_the_beat_is_10_seconds_at_most(api, name):
    reservation = api.call("GetOrExtendReservation", reserve(dataset_id(name), "A", 3600)).reservation
    assert reservation.heartbeat_interval.seconds == 10


@pytest.mark.parametrize(
    ("request_", "mention"),
    [
        (reserve(dataset_id("x"), ""), "owner_id"),
        (reserve(dataset_id("x"), "A", tag=""), "tag_name"),
        (reserve(dataset_id(""), "A"), "name"),
        (reserve(dataset_id("x"), "o" * 5000), "owner_id"),
        (datacatalog_pb2.GetOrExtendReservationRequest(owner_id="A"), "dataset_id"),
    ],
)
def test_A_146_refused(api, request_, mention):
    api.refused("GetOrExtendReservation", request_, "INVALID_ARGUMENT", mention)


# CacheService


def cached(key, value=1, overwrite=False):
    return cacheservice_pb2.PutCacheRequest(
        key=key, output=cacheservice_pb2.CachedOutput(output_literals=literals(o=value)), overwrite=overwrite
    )


def test_A_150_put_get_overwrite_delete(api, name):
    api.call("Put", cached(name))
    found = api.call("Get", cacheservice_pb2.GetCacheRequest(key=name)).output
    assert found.output_literals == literals(o=1) and found.metadata.created_at.seconds > 0
    api.refused("Put", cached(name, 2), "ALREADY_EXISTS", name)
    api.call("Put", cached(name, 2, overwrite=True))
    assert api.call("Get", cacheservice_pb2.GetCacheRequest(key=name)).output.output_literals == literals(o=2)
    api.call("Delete", cacheservice_pb2.DeleteCacheRequest(key=name))
    api.call("Delete", cacheservice_pb2.DeleteCacheRequest(key=name))
    api.refused("Get", cacheservice_pb2.GetCacheRequest(key=name), "NOT_FOUND", name)


@pytest.mark.parametrize(
    ("rpc", "request_", "mention"),
    [
        ("Get", cacheservice_pb2.GetCacheRequest(), "key"),
        ("Put", cacheservice_pb2.PutCacheRequest(key="k"), "output"),
        ("Put", cached(""), "key"),
        ("Put", cached("k" * 5000), "key"),
        ("Get", cacheservice_pb2.GetCacheRequest(key="a\0b"), "NUL"),
        ("Delete", cacheservice_pb2.DeleteCacheRequest(), "key"),
        ("CacheService/GetOrExtendReservation", cacheservice_pb2.GetOrExtendReservationRequest(owner_id="A"), "key"),
        ("CacheService/GetOrExtendReservation", cacheservice_pb2.GetOrExtendReservationRequest(key="k"), "owner_id"),
        ("CacheService/ReleaseReservation", cacheservice_pb2.ReleaseReservationRequest(owner_id="A"), "key"),
    ],
)
def test_A_150_refused(api, rpc, request_, mention):
    api.refused(rpc, request_, "INVALID_ARGUMENT", mention)


def test_A_150_reservations(api, name):
    def holder(owner):
        request = cacheservice_pb2.GetOrExtendReservationRequest(key=name, owner_id=owner)
        return api.call("CacheService/GetOrExtendReservation", request).reservation.owner_id

    assert (holder("A"), holder("B")) == ("A", "A")
    api.call("CacheService/ReleaseReservation", cacheservice_pb2.ReleaseReservationRequest(key=name, owner_id="A"))
    assert holder("B") == "B"
