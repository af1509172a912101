// Comments of .proto files by the full name of what they stand at, for documents that people read (OpenAPI).
import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** `{ 'flyteidl.admin.Task': 'what it is' }` from an encoded FileDescriptorSet with source info. */
export function commentsOf(path) {
  const comments = {};
  for (const file of fromBinary(FileDescriptorSetSchema, readFileSync(path)).file) {
    if (file.package.startsWith('google.')) continue;
    const names = namesByPath(file);
    for (const { path: where, leadingComments, trailingComments } of file.sourceCodeInfo?.location ?? []) {
      const name = names.get(where.join('.'));
      const text = textOf(leadingComments || trailingComments);
      if (name !== undefined && text !== '') comments[name] = text;
    }
  }
  return Object.fromEntries(Object.entries(comments).sort(([a], [b]) => (a < b ? -1 : 1)));
}

// Numbers of fields in descriptor.proto: FileDescriptorProto.message_type = 4, enum_type = 5, service = 6; DescriptorProto.field = 2,
// nested_type = 3, enum_type = 4; EnumDescriptorProto.value = 2; ServiceDescriptorProto.method = 2.
function namesByPath(file) {
  const names = new Map();
  const enumeration = (one, path, scope) => {
    names.set(path, `${scope}.${one.name}`);
    one.value.forEach((value, i) => names.set(`${path}.2.${i}`, `${scope}.${one.name}.${value.name}`));
  };
  const message = (one, path, scope) => {
    const name = `${scope}.${one.name}`;
    names.set(path, name);
    one.field.forEach((field, i) => names.set(`${path}.2.${i}`, `${name}.${field.name}`));
    one.nestedType.forEach((nested, i) => message(nested, `${path}.3.${i}`, name));
    one.enumType.forEach((nested, i) => enumeration(nested, `${path}.4.${i}`, name));
  };
  file.messageType.forEach((one, i) => message(one, `4.${i}`, file.package));
  file.enumType.forEach((one, i) => enumeration(one, `5.${i}`, file.package));
  file.service.forEach((one, i) => {
    names.set(`6.${i}`, `${file.package}.${one.name}`);
    one.method.forEach((method, j) => names.set(`6.${i}.2.${j}`, `${file.package}.${one.name}.${method.name}`));
  });
  return names;
}

function textOf(comment) {
  return comment
    .split('\n')
    .map((line) => line.replace(/^[ \t*]+/, '').trimEnd())
    .join('\n')
    .trim();
}
