import { compileGraph, currentBehaviours, runs, type Graph, type RunStatics } from '@aloft/engine';
import { invalidArgument } from '@aloft/errors';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';

/** The pure engine, as the shell uses it. */
export interface Engine {
  readonly runs: RunStatics;
  /** Numbered behaviours of this version, written with every entry. */
  readonly behaviourFlags: bigint;
  /** Compiles an encoded closure; `digest` in hex. INVALID_ARGUMENT when it is not one, or cannot be run. */
  compileGraph(digest: string, closure: Uint8Array): Graph;
}

export const pureEngine: Engine = {
  runs,
  behaviourFlags: currentBehaviours,
  compileGraph(digest, bytes) {
    let closure: CompiledWorkflowClosure;
    try {
      closure = CompiledWorkflowClosure.decode(bytes);
    } catch (error) {
      throw invalidArgument(`closure ${digest} (${bytes.length} bytes) is not a CompiledWorkflowClosure`, {
        cause: error,
      });
    }
    return compileGraph(closure, digest);
  },
};
