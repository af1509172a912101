import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { TaskList } from '@aloft/idl/flyteidl/admin/task';
import { Encoded } from '@aloft/rpc';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** What a list shows of a task. */
export interface ListedTask {
  id: Identifier;
  /** CompiledTask. */
  compiled: Uint8Array;
  createdAt: Timestamp;
  shortDescription: string;
}

const tag = (field: number): number => (field << 3) | WireType.LengthDelimited;

/** Fields of flyteidl's messages, by number. */
const ofList = { tasks: tag(1), token: tag(2) };
const ofTask = { id: tag(1), closure: tag(2), shortDescription: tag(3) };
const ofClosure = { compiledTask: tag(1), createdAt: tag(2) };

/** One entry of a TaskList, with the template as it is stored: decoding twenty of them, to encode them again, is most of what a list costs. */
export function encodeListedTask({ id, compiled, createdAt, shortDescription }: ListedTask): Uint8Array {
  const list = new BinaryWriter();
  const task = list.uint32(ofList.tasks).fork();
  Identifier.encode(id, task.uint32(ofTask.id).fork()).join();
  const closure = task.uint32(ofTask.closure).fork();
  closure.uint32(ofClosure.compiledTask).bytes(compiled);
  Timestamp.encode(createdAt, closure.uint32(ofClosure.createdAt).fork()).join();
  closure.join();
  if (shortDescription !== '') task.uint32(ofTask.shortDescription).string(shortDescription);
  task.join();
  return list.finish();
}

/** A TaskList of encoded entries. */
export function encodeTaskList(entries: readonly Uint8Array[], token: string): Encoded<TaskList> {
  if (token === '') return new Encoded(Buffer.concat(entries));
  return new Encoded(Buffer.concat([...entries, new BinaryWriter().uint32(ofList.token).string(token).finish()]));
}
