import { enumeration, list, map, none, optional, union } from './containers.js';
import { directory, file } from './files.js';
import { bigint, binary, boolean, datetime, duration, error, float, int, string } from './scalars.js';
import { json, struct } from './structs.js';

/** The types of the data that flows between tasks. */
export const t = {
  int,
  bigint,
  float,
  string,
  boolean,
  datetime,
  duration,
  binary,
  error,
  none,
  list,
  map,
  enum: enumeration,
  union,
  optional,
  struct,
  json,
  file,
  directory,
} as const;

export { DataType } from './data-type.js';
export type { AnyType, Fields, GivenValues, TypeSpec, ValueOf, Values, WireOf } from './data-type.js';
export type { DurationText } from './durations.js';
export type { FlyteError } from './scalars.js';
export type { Json } from './structs.js';
export { FlyteDirectory, FlyteFile } from './files.js';
export type { FileTransfer } from './file-transfer.js';
