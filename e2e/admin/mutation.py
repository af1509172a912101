"""Near-valid requests: valid ones, changed field by field along Flyte's descriptors. All randomness comes from the given generator."""

import random

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

F = FieldDescriptor
INTEGERS = {F.TYPE_INT32, F.TYPE_INT64, F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_SINT32, F.TYPE_SINT64, F.TYPE_FIXED32, F.TYPE_FIXED64}
UNSIGNED = {F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_FIXED32, F.TYPE_FIXED64}
WIDE = {F.TYPE_INT64, F.TYPE_UINT64, F.TYPE_SINT64, F.TYPE_FIXED64}

TEXTS = [
    "",
    "a",
    "A-b_c.d",
    "x" * 63,
    "x" * 64,
    "x" * 255,
    "x" * 256,
    "x" * 4000,
    "é",
    "𝄞" * 70,
    "\0",
    "a\0b",
    "\u202e\ufeff",
    "' OR '1'='1",
    "'; DROP TABLE executions; --",
    "$1",
    "%",
    "\\",
    "../../etc/passwd",
    "/",
    "a/b",
    "%2e%2e%2f",
    "\r\nx-evil: 1",
    "__proto__",
    "constructor",
    "{{.inputs.x}}",
    "${x}",
    "null",
    "NaN",
    "-1",
    "1e400",
    "99999999999999999999",
    "eq(name,x)",
    "value_in(phase,A;B)+ne(state,1)",
    "created_at",
    "s3://aloft/uploads/x",
    "flyte://v1/a/b/c/n0/i",
    "0 6 * * *",
    "@every 1s",
    "500m",
    "2Gi",
]


class Mutator:
    def __init__(self, seed: str, texts: list[str]):
        self.random = random.Random(seed)
        self.texts = [*TEXTS, *texts]

    def mutated(self, request: Message) -> Message:
        changed = type(request)()
        changed.CopyFrom(request)
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 3])):
            self._change(changed)
        return changed

    def _change(self, message: Message, depth: int = 0) -> None:
        """Walks down to some field, set or not, and changes it."""
        fields = list(message.DESCRIPTOR.fields)
        if not fields:
            return
        present = [field for field, _ in message.ListFields()]
        field = self.random.choice(present) if present and self.random.random() < 0.8 else self.random.choice(fields)
        descend = field.message_type and depth < 8 and self.random.random() < 0.85
        if field.is_repeated:
            self._change_repeated(message, field, depth, descend)
        elif field.message_type:
            if not descend:
                message.ClearField(field.name)
            else:
                self._change_or_make(getattr(message, field.name), depth)
        elif self.random.random() < 0.15:
            message.ClearField(field.name)
        else:
            setattr(message, field.name, self._scalar(field))

    def _change_or_make(self, message: Message, depth: int) -> None:
        message.SetInParent()
        if message.DESCRIPTOR.full_name == "google.protobuf.Struct":
            message.update({self._text()[:20]: self.random.choice([None, 1.5, "x", [1, "a"], {"k": False}])})
        elif message.DESCRIPTOR.full_name == "google.protobuf.Any":
            message.Clear()
        else:
            self._change(message, depth + 1)

    def _change_repeated(self, message: Message, field: F, depth: int, descend: bool) -> None:
        values = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            self._change_map(values, field, depth)
        elif descend and len(values):
            self._change_or_make(self.random.choice(values), depth)
        elif self.random.random() < 0.3:
            message.ClearField(field.name)
        elif field.message_type:
            if len(values) and self.random.random() < 0.5:
                values.add().CopyFrom(self.random.choice(values))
            else:
                self._change_or_make(values.add(), depth)
        else:
            values.extend(self._scalar(field) for _ in range(self.random.choice([1, 2, 20])))

    def _change_map(self, values, field: F, depth: int) -> None:
        key_field, value_field = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        keys = list(values)
        if keys and self.random.random() < 0.3:
            del values[self.random.choice(keys)]
            return
        key = self.random.choice(keys) if keys and self.random.random() < 0.6 else self._scalar(key_field)
        if value_field.message_type:
            self._change_or_make(values[key], depth)
        else:
            values[key] = self._scalar(value_field)

    def _scalar(self, field: F):
        if field.type == F.TYPE_STRING:
            return self._text()
        if field.type == F.TYPE_BYTES:
            return self.random.choice([b"", b"\0", b"x" * 16, b"\xff\xfe", self.random.randbytes(100)])
        if field.type == F.TYPE_BOOL:
            return self.random.random() < 0.5
        if field.type == F.TYPE_ENUM:
            numbers = [value.number for value in field.enum_type.values]
            return self.random.choice([*numbers, 99, 2**31 - 1])
        if field.type in INTEGERS:
            bits = (64 if field.type in WIDE else 32) - (0 if field.type in UNSIGNED else 1)
            low = 0 if field.type in UNSIGNED else -(2**bits)
            return self.random.choice([0, 1, 2, 7, 100, 2**bits - 1, low, max(low, -1)])
        return self.random.choice([0.0, -0.0, 1.5, -1e308, 1e-320, float("nan"), float("inf"), float("-inf")])

    def _text(self) -> str:
        return self.random.choice(self.texts)


