"""The control plane by clients that are not ours: Flyte's generated stubs and plain HTTP, against one platform for all."""

import types
import uuid

import grpc
import pytest
from flyteidl.admin import project_pb2
from flyteidl.cacheservice import cacheservice_pb2_grpc
from flyteidl.datacatalog import datacatalog_pb2_grpc
from flyteidl.service import admin_pb2_grpc, auth_pb2_grpc, dataproxy_pb2_grpc, identity_pb2_grpc, signal_pb2_grpc

from platform_process import PlatformProcess, running_platform
from registry import Registry
from transports import Api, Http


@pytest.fixture(scope="session")
def platform():
    with running_platform(PlatformProcess) as platform:
        yield platform


@pytest.fixture(scope="session")
def channel(platform):
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(platform.grpc, options=options) as opened:
        yield opened


@pytest.fixture(scope="session")
def stubs(channel):
    """Flyte's own: `admin`, `signals`, `data_proxy`, `identity`, `auth`, `catalog`, `cache`. They raise grpc.RpcError."""
    return types.SimpleNamespace(
        admin=admin_pb2_grpc.AdminServiceStub(channel),
        signals=signal_pb2_grpc.SignalServiceStub(channel),
        data_proxy=dataproxy_pb2_grpc.DataProxyServiceStub(channel),
        identity=identity_pb2_grpc.IdentityServiceStub(channel),
        auth=auth_pb2_grpc.AuthMetadataServiceStub(channel),
        catalog=datacatalog_pb2_grpc.DataCatalogStub(channel),
        cache=cacheservice_pb2_grpc.CacheServiceStub(channel),
    )


@pytest.fixture(scope="session")
def admin(stubs):
    return stubs.admin


@pytest.fixture(scope="session")
def http(platform) -> Http:
    """`http.send(verb, path, body, headers)` → status, headers, body."""
    return Http(platform.http)


@pytest.fixture(scope="session")
def api(channel, http) -> Api:
    """`api.call`, `.rest`, `.read` (both, same answer), `.refused` (both, same code, words and details)."""
    return Api(channel, http)


def new_project(api: Api, **fields) -> str:
    project = f"p-{uuid.uuid4().hex[:12]}"
    api.call("RegisterProject", project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=project, name=project, **fields)))
    return project


@pytest.fixture(scope="module")
def project(api) -> str:
    """A new project for the module."""
    return new_project(api)


@pytest.fixture(scope="module")
def registry(api, project) -> Registry:
    """Registers tasks, workflows and launch plans in the module's project, domain `development`."""
    return Registry(api, project)


@pytest.fixture
def name(request) -> str:
    """A name of an entity that no other test uses."""
    return f"e2e.{uuid.uuid4().hex[:10]}"
