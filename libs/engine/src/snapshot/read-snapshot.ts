import {
  AbortExecution,
  ControlNode,
  LiteralsValue,
  StartExecution,
  TaskReport,
  TaskUsage,
  WaitReason,
} from '@aloft/idl/aloft/v1/bus';
import { ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { GraphLookup, StartChild } from '../api.js';
import { lineUp } from '../lifecycle/parallelism.js';
import { adopt } from '../lifecycle/scopes.js';
import type { CompiledGraph } from '../graph/graph.js';
import type { Because } from '../state/ending.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, RunState, TimerPurpose } from '../state/run-state.js';
import { ByteReader } from './bytes.js';
import { readScope } from './scope-codec.js';
import { snapshotVersion } from './write-snapshot.js';

/** Hex digests of the graphs that a snapshot needs. */
export function graphsOf(snapshot: Uint8Array): string[] {
  return readHead(new ByteReader(snapshot));
}

function readHead(from: ByteReader): string[] {
  const version = from.int();
  if (version < 1 || version > snapshotVersion) {
    throw new Error(`engine: a snapshot of version ${version}; this engine reads versions up to ${snapshotVersion}`);
  }
  from.version = version;
  const digests: string[] = [];
  from.list(() => void digests.push(from.string()));
  return digests;
}

/** @throws Error if the snapshot is of another version, damaged, or doesn't fit its graphs. */
export function readSnapshot(snapshot: Uint8Array, graphs: GraphLookup): RunState {
  const from = new ByteReader(snapshot);
  const known = readHead(from).map((digest) => graphs(digest) as CompiledGraph);
  const run = new RunState();
  for (const graph of known) run.graphs.set(graph.digest, graph);
  if (from.version >= 2) run.behaviours = from.int();
  run.start = from.message(StartExecution);
  run.id = run.start?.id ?? run.id;
  run.phase = from.int();
  run.now = from.time() ?? run.now;
  run.sequence = from.int();
  run.lastRequest = from.int();
  run.lastTimer = from.int();
  run.lastScope = from.int();
  run.permits = from.int();
  run.outputs = from.message(LiteralsValue);
  run.error = from.message(ExecutionError);
  if (from.version >= 3) from.list(() => void run.controls.add(from.string()));
  if (from.version >= 4) {
    run.aborting = from.message(AbortExecution);
    run.patience = from.int();
  }
  const find = (scope: number, node: number): NodeWork | undefined => run.scopes.get(scope)?.active.get(node);
  const must = (): NodeWork => {
    const [scope, node] = [from.int(), from.int()];
    const work = find(scope, node);
    if (!work) throw new Error(`engine: the snapshot names node ${node} of scope ${scope}, which isn't active`);
    return work;
  };
  const none = (): undefined => void [from.int(), from.int()];
  from.list(() => {
    const scope = readScope(from, known, find);
    adopt(run, scope);
    run.scopes.set(scope.id, scope);
    for (const work of scope.active.values()) {
      if (scope.id > 0 || scope.template.indexOf(work.id) !== work.node) run.nested.set(work.id, work);
    }
  });
  from.list(() => {
    const id = from.int();
    const purpose = from.int() as Purpose;
    const [scopeId, node] = [from.int(), from.int()];
    const work = find(scopeId, node);
    const scope = run.scopes.get(scopeId);
    const item = from.int();
    const child = from.flag() ? readChild(from, run) : undefined;
    if (purpose === Purpose.Recall) {
      // Nobody waits for it any more if its scope is over.
      if (scope) run.requests.set(id, { id, purpose, work: undefined, item, source: { scope, node } });
    } else run.requests.set(id, { id, purpose, work, item, child });
  });
  from.list(() => {
    const id = from.int();
    const purpose = from.int() as TimerPurpose;
    const ofRun = purpose === TimerPurpose.Run || purpose === TimerPurpose.Abort;
    const work = ofRun ? none() : must();
    run.timers.set(id, { id, purpose, work, item: from.int(), at: from.time()! });
  });
  from.list(() => {
    const signalId = from.string();
    const revision = BigInt(from.string());
    const value = from.message(Literal);
    const consumed = from.flag();
    const waiting: NodeWork[] = [];
    from.list(() => {
      const work = find(from.int(), from.int());
      if (work) waiting.push(work);
    });
    run.signals.set(signalId, { revision, value, consumed, waiting });
  });
  from.list(() => {
    const work = find(from.int(), from.int());
    // Earlier versions wrote those that were over, too.
    if (work && (work.state === NodeState.Parked || work.items)) lineUp(run, work);
  });
  // Snapshots from before waits were told end here.
  if (from.atEnd) return run;
  from.list(() => {
    const work = must();
    work.waiting = from.message(WaitReason);
  });
  if (from.version >= 4) readEndings(from, run, must);
  if (from.version >= 7)
    from.list(() => {
      const work = must();
      work.job = from.string();
      work.launchedAhead = from.flag();
      work.held = from.message(TaskReport);
    });
  return run;
}

function readEndings(from: ByteReader, run: RunState, must: () => NodeWork): void {
  from.list(() => {
    const work = must();
    work.ending = {
      because: from.int() as Because,
      reason: from.string(),
      since: from.time()!,
      command: from.message(ControlNode),
      unheard: new Set(),
    };
    const { unheard } = work.ending;
    from.list(() => void unheard.add(from.int()));
    if (from.version >= 5) work.ending.usage = from.message(TaskUsage);
  });
  from.list(() => {
    const { items } = must();
    from.list(() => {
      const index = from.int();
      items!.ending.set(index, { purpose: from.int() as TimerPurpose, since: from.time()!, heard: from.flag() });
    });
  });
  from.list(() => {
    const [scope, node] = [run.scopes.get(from.int()), from.int()];
    const command = from.message(ControlNode);
    if (scope && command) run.held.push({ scope, node, command });
  });
}

function readChild(from: ByteReader, run: RunState): StartChild {
  const name = from.string();
  const launchPlan = from.message(Identifier) as Identifier;
  const inputs = from.message(LiteralsValue) as LiteralsValue;
  const nodeId = from.string();
  const attempt = from.int();
  const recover = from.string();
  const child: StartChild = { kind: 'start-child', name, launchPlan, inputs, settings: run.settings, nodeId, attempt };
  return recover === '' ? child : { ...child, recover };
}
