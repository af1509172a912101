"""Who asks, and what a server without login tells its clients (A-130, A-134)."""

from flyteidl.service import auth_pb2, identity_pb2


def test_A_130_user_info(api):
    assert not api.read("UserInfo", identity_pb2.UserInfoRequest()).subject


def test_A_134_no_login(api):
    metadata = api.read("GetOAuth2Metadata", auth_pb2.OAuth2MetadataRequest())
    assert not metadata.authorization_endpoint and not metadata.token_endpoint
    client = api.read("GetPublicClientConfig", auth_pb2.PublicClientAuthConfigRequest())
    assert not client.client_id and client.authorization_metadata_key == "flyte-authorization"
