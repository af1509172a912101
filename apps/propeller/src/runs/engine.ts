import {
  compileGraph,
  currentBehaviours,
  packGraph,
  runs,
  unpackGraph,
  type Graph,
  type RunStatics,
} from '@aloft/engine';
import { invalidArgument } from '@aloft/errors';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';

/** The pure engine, as the shell uses it. */
export interface Engine {
  readonly runs: RunStatics;
  /** Numbered behaviours of this version, written with every entry. */
  readonly behaviourFlags: bigint;
  /** Compiles an encoded closure; `digest` in hex. INVALID_ARGUMENT when it is not one, or cannot be run. */
  compileGraph(digest: string, closure: Uint8Array): Graph;
  /** As {@link compileGraph}, in the compact form that {@link unpackGraph} reads without compiling anything. */
  packGraph(digest: string, closure: Uint8Array): Uint8Array;
  /** Throws if the form is another version's. */
  unpackGraph(bytes: Uint8Array): Graph;
}

export const pureEngine: Engine = {
  runs,
  behaviourFlags: currentBehaviours,
  compileGraph: compile,
  packGraph: (digest, bytes) => packGraph(compile(digest, bytes)),
  unpackGraph,
};

function compile(digest: string, bytes: Uint8Array): ReturnType<typeof compileGraph> {
  let closure: CompiledWorkflowClosure;
  try {
    closure = CompiledWorkflowClosure.decode(bytes);
  } catch (error) {
    throw invalidArgument(`closure ${digest} (${bytes.length} bytes) is not a CompiledWorkflowClosure`, {
      cause: error,
    });
  }
  return compileGraph(closure, digest);
}
