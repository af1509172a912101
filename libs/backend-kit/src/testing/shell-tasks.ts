import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerError_Kind, ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import type { Behaviour } from './conformance-world.js';
import { encodeLiterals, integer } from './launches.js';

/** Behaviours that a shell has everywhere; the others are how a backend kills, and what it may not start. */
export type ShellBehaviour = Exclude<Behaviour, 'be-unstartable' | 'use-memory'>;

/**
 * What each behaviour does, in the shell: `$1` is the folder of its outputs, `$2` the one of {@link writeShellFiles}, `$MARK` names the attempt. One that waits reads
 * a line from the fifo `$2/$MARK.fifo`.
 */
export const shellScripts: Readonly<Record<ShellBehaviour, string>> = {
  succeed: 'cp "$2/seven.pb" "$1/outputs.pb"',
  'until-finished': 'read -r line < "$2/$MARK.fifo"; cp "$2/seven.pb" "$1/outputs.pb"',
  fail: 'cp "$2/error.pb" "$1/error.pb"',
  'fail-recoverable': 'cp "$2/recoverable.pb" "$1/error.pb"',
  'exit-nonzero': 'echo these are my last words; exit 3',
  'be-killed': 'kill -9 $$',
  'write-nothing': 'true',
  'write-garbage': 'printf "\\377\\377\\377\\377\\377" > "$1/outputs.pb"',
  'write-other-name': 'cp "$2/other.pb" "$1/outputs.pb"',
  'write-garbage-error': 'echo "this is not protobuf" > "$1/error.pb"',
  'write-much': 'cp "$2/much.pb" "$1/outputs.pb"',
  'run-over-time': 'sleep 60',
};

/** Makes the folder, and in it the outputs and errors that {@link shellScripts} copy. */
export function writeShellFiles(folder: string): void {
  mkdirSync(folder);
  const put = (name: string, bytes: Uint8Array) => writeFileSync(join(folder, name), bytes);
  put('seven.pb', encodeLiterals({ x: integer(7) }));
  put('other.pb', encodeLiterals({ y: integer(7) }));
  const literals = Array.from({ length: 10_000 }, (_, i) => integer(i));
  put('much.pb', encodeLiterals({ x: { ...integer(0), value: { $case: 'collection', value: { literals } } } }));
  put('error.pb', errorFile(ContainerError_Kind.NON_RECOVERABLE));
  put('recoverable.pb', errorFile(ContainerError_Kind.RECOVERABLE));
}

const errorFile = (kind: ContainerError_Kind): Uint8Array =>
  ErrorDocument.encode(
    ErrorDocument.fromPartial({
      error: {
        code: 'USER:ValueError',
        message: 'this task fails on purpose',
        kind,
        origin: ExecutionError_ErrorKind.USER,
      },
    }),
  ).finish();
