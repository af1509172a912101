"""The same call over gRPC and over REST, by nothing but Flyte's own descriptors and their `google.api.http` annotations."""

import dataclasses
import http.client
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator

import grpc
from google.api import annotations_pb2
from google.protobuf import any_pb2, descriptor_pool, json_format
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from flyteidl.cacheservice import cacheservice_pb2
from flyteidl.datacatalog import datacatalog_pb2
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2

SERVICES = [
    file.DESCRIPTOR.services_by_name[name]
    for file, name in [
        (admin_pb2, "AdminService"),
        (signal_pb2, "SignalService"),
        (dataproxy_pb2, "DataProxyService"),
        (identity_pb2, "IdentityService"),
        (auth_pb2, "AuthMetadataService"),
        (datacatalog_pb2, "DataCatalog"),
        (cacheservice_pb2, "CacheService"),
    ]
]

#: Method by `Service/Rpc`, and by `Rpc` alone (where two services have it: the first of SERVICES).
METHODS: dict[str, MethodDescriptor] = {}
for service in SERVICES:
    for method in service.methods:
        METHODS[f"{service.name}/{method.name}"] = method
        METHODS.setdefault(method.name, method)

DETAILS = "grpc-status-details-bin"
SHORTENED = " … (shortened"


@dataclasses.dataclass
class Refusal(Exception):
    """An error answer, whichever way it came."""

    #: Name of the gRPC status.
    code: str
    message: str
    #: Typed details (A-4), unpacked.
    details: tuple[Message, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {[type(one).__name__ for one in self.details]}"

    def detail(self, kind: type[Message]) -> Message:
        found = [one for one in self.details if one.DESCRIPTOR.full_name == kind.DESCRIPTOR.full_name]
        assert found, f"no detail {kind.DESCRIPTOR.full_name} in {self}"
        return found[0]


def unpacked(details: Iterable[any_pb2.Any]) -> tuple[Message, ...]:
    return tuple(GetMessageClass(_type_of(one))().FromString(one.value) for one in details)


def _type_of(detail: any_pb2.Any) -> Descriptor:
    return descriptor_pool.Default().FindMessageTypeByName(detail.TypeName())


def refusal_of(error: grpc.RpcError) -> Refusal:
    trailers = dict(error.trailing_metadata() or ())
    details = unpacked(status_pb2.Status.FromString(trailers[DETAILS]).details) if DETAILS in trailers else ()
    return Refusal(error.code().name, error.details(), details)


@dataclasses.dataclass(frozen=True)
class HttpRequest:
    verb: str
    #: With its query.
    path: str
    body: bytes | None = None


def bindings(method: MethodDescriptor) -> list[tuple[str, str, str]]:
    """Verb, path template and body of each annotated route."""
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return []
    rule = options.Extensions[annotations_pb2.http]
    found = []
    for one in [rule, *rule.additional_bindings]:
        verb = one.WhichOneof("pattern")
        found.append((verb.upper(), getattr(one, verb), one.body))
    return found


def http_request(method: MethodDescriptor, request: Message) -> HttpRequest | None:
    """None if no route can say that request: the rpc has none, a part of each path is empty, or JSON has no such time or duration."""
    for verb, template, body in bindings(method):
        names = re.findall(r"{([\w.]+)}", template)
        values = [_text(_field(request, name)) for name in names]
        if not all(values):
            continue
        path = template
        for name, value in zip(names, values):
            path = path.replace(f"{{{name}}}", urllib.parse.quote(value, safe=""))
        try:
            if body == "*":
                return HttpRequest(verb, path, json_format.MessageToJson(request, preserving_proto_field_name=True).encode())
            query = [(name, value) for name, value in _query(request) if name not in names]
        except json_format.SerializeToJsonError:
            return None
        return HttpRequest(verb, path + ("?" + urllib.parse.urlencode(query) if query else ""))
    return None


def _field(message: Message, path: str):
    *parents, last = path.split(".")
    for name in parents:
        message = getattr(message, name)
    value = getattr(message, last)
    field = message.DESCRIPTOR.fields_by_name[last]
    return field.enum_type.values_by_number[value].name if field.enum_type and value in field.enum_type.values_by_number else value


def _text(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _query(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    as_json = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for field, value in message.ListFields():
        name = prefix + field.name
        if field.message_type and field.message_type.GetOptions().map_entry:
            yield from ((f"{name}[{key}]", _text(one)) for key, one in value.items())
        elif field.message_type and not field.is_repeated and not isinstance(as_json[field.name], str):
            yield from _query(value, f"{name}.")
        else:
            # As JSON writes it: names of enums, base64 of bytes, RFC 3339 of times.
            ones = as_json[field.name] if field.is_repeated else [as_json[field.name]]
            yield from ((name, _text(one)) for one in ones)


class Http:
    """Plain HTTP, one connection a request."""

    def __init__(self, base: str):
        self.address = urllib.parse.urlsplit(base).netloc

    def send(self, verb: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None):
        """Status, headers (lower case) and body; `path` goes out exactly as it is given."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            given = {"content-type": "application/json"} if body is not None else {}
            connection.request(verb, path, body, {**given, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


#: HTTP status of each gRPC status, as grpc-gateway gives it (K-38).
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class Api:
    """Calls by the name of the rpc; `METHODS` has them all."""

    def __init__(self, channel: grpc.Channel, http: Http):
        self.channel = channel
        self.http = http

    def call(self, rpc: str, request: Message, timeout: float = 60, metadata=None) -> Message:
        """Over gRPC. Raises Refusal."""
        method = METHODS[rpc]
        answer = GetMessageClass(method.output_type)
        invoke = self.channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        try:
            return invoke(request, timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise refusal_of(error) from None

    def rest(self, rpc: str, request: Message) -> Message:
        """Over REST. Raises Refusal, after it has seen that the HTTP status fits."""
        method = METHODS[rpc]
        route = http_request(method, request)
        assert route, f"{rpc} has no route for this request"
        status, _, body = self.http.send(route.verb, route.path, route.body)
        if status == 200:
            return json_format.Parse(body, GetMessageClass(method.output_type)())
        raise rest_refusal(status, body)

    def has_route(self, rpc: str, request: Message) -> bool:
        return http_request(METHODS[rpc], request) is not None

    def read(self, rpc: str, request: Message) -> Message:
        """A call that changes nothing: on both transports where it has a route, with one answer."""
        answer = self.call(rpc, request)
        if self.has_route(rpc, request):
            assert self.rest(rpc, request) == answer, f"{rpc}: REST answers otherwise than gRPC"
        return answer

    def refused(self, rpc: str, request: Message, code: str, *mentions: str) -> Refusal:
        """The call is refused with that code on both transports, in the same words and details, which mention all of `mentions`."""
        refusal = self.refusal(self.call, rpc, request)
        assert refusal.code == code, f"{rpc}: {refusal}; expected {code}"
        for mention in mentions:
            assert mention in refusal.message, f"{rpc}: {refusal} does not mention {mention!r}"
        if self.has_route(rpc, request):
            other = self.refusal(self.rest, rpc, request)
            assert other.code == refusal.code, f"{rpc}: REST says {other}, gRPC {refusal}"
            said, shortened, _ = refusal.message.partition(SHORTENED)
            assert other.message == refusal.message or (shortened and other.message.startswith(said)), (other, refusal)
            assert other.details == refusal.details, f"{rpc}: REST gives other details than gRPC"
        return refusal

    @staticmethod
    def refusal(call, rpc: str, request: Message) -> Refusal:
        try:
            answer = call(rpc, request)
        except Refusal as refusal:
            return refusal
        raise AssertionError(f"{rpc} accepted what should be refused: {str(request)[:500]}\n→ {str(answer)[:500]}")


def rest_refusal(status: int, body: bytes) -> Refusal:
    error = json.loads(body)
    code = next(one.name for one in grpc.StatusCode if one.value[0] == error["code"])
    assert status == HTTP_STATUS[code], f"HTTP {status} for {code}"
    assert error["error"] == error["message"], error
    details = [json_format.ParseDict(one, any_pb2.Any()) for one in error["details"]]
    return Refusal(code, error["message"], unpacked(details))
