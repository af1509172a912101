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
import type { Ending } from '../state/ending.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { hexOf } from '../graph/identifiers.js';
import { ByteWriter } from './bytes.js';
import { writeScope } from './scope-codec.js';

/** First byte of a snapshot; older ones are read, newer ones refused. 2: behaviours, retry policies. 3: node control. 4: ends that wait. 5: what was used. 6: pages of items. 7: launches ahead. */
export const snapshotVersion = 7;

/** The state without its pending effects: those of a batch are out before a snapshot is taken. */
export function writeSnapshot(run: RunState): Uint8Array {
  const out = new ByteWriter();
  out.int(snapshotVersion);
  const digests = digestsOf(run);
  out.list(digests, (digest) => out.string(digest));
  out.int(run.behaviours);
  out.message(StartExecution, run.start);
  out.int(run.phase);
  out.time(run.now);
  out.int(run.sequence);
  out.int(run.lastRequest);
  out.int(run.lastTimer);
  out.int(run.lastScope);
  out.int(run.permits);
  out.message(LiteralsValue, run.outputs);
  out.message(ExecutionError, run.error);
  out.list(run.controls, (id) => out.string(id));
  out.message(AbortExecution, run.aborting);
  out.int(run.patience);
  out.list(run.scopes.values(), (scope) => writeScope(out, scope, digests.indexOf(scope.graph.digest)));
  const place = (work: { scope: Scope; node: number } | undefined): void => {
    out.int(work?.scope.id ?? -1);
    out.int(work?.node ?? -1);
  };
  const isLive = (work: NodeWork): boolean => {
    return run.scopes.get(work.scope.id) === work.scope && work.scope.active.get(work.node) === work;
  };
  // A recall whose scope is over is awaited by nobody.
  const requests = [...run.requests.values()].filter(({ source }) => {
    return !source || run.scopes.get(source.scope.id) === source.scope;
  });
  out.list(requests, ({ id, purpose, work, item, child, source }) => {
    out.int(id);
    out.int(purpose);
    place(work ?? source);
    out.int(item);
    out.flag(child !== undefined);
    if (!child) return;
    out.string(child.name);
    out.message(Identifier, child.launchPlan);
    out.message(LiteralsValue, child.inputs);
    out.string(child.nodeId);
    out.int(child.attempt);
    out.string(child.recover ?? '');
  });
  out.list(run.timers.values(), ({ id, purpose, work, item, at }) => {
    out.int(id);
    out.int(purpose);
    place(work);
    out.int(item);
    out.time(at);
  });
  out.list(run.signals, ([signalId, signal]) => {
    out.string(signalId);
    out.string(String(signal.revision));
    out.message(Literal, signal.value);
    out.flag(signal.consumed);
    out.list(signal.waiting.filter(isLive), place);
  });
  out.list(
    [...run.parked].filter((work) => work.inLine),
    place,
  );
  const waiting = [...run.scopes.values()].flatMap((scope) =>
    [...scope.active.values()].filter((work) => work.waiting),
  );
  out.list(waiting, (work) => {
    place(work);
    out.message(WaitReason, work.waiting);
  });
  writeEndings(out, run, place);
  writeJobs(out, run, place);
  return out.finish();
}

/** Nodes and items that are to end, and controls that wait for some. */
function writeEndings(out: ByteWriter, run: RunState, place: (of: { scope: Scope; node: number }) => void): void {
  const active = [...run.scopes.values()].flatMap((scope) => [...scope.active.values()]);
  out.list(
    active.filter(({ ending }) => ending),
    (work) => {
      const { because, reason, since, command, unheard, usage } = work.ending as Ending;
      place(work);
      out.int(because);
      out.string(reason);
      out.time(since);
      out.message(ControlNode, command);
      out.list(unheard, (index) => out.int(index));
      out.message(TaskUsage, usage);
    },
  );
  out.list(
    active.filter(({ items }) => items && items.ending.size > 0),
    (work) => {
      place(work);
      out.list(work.items!.ending, ([index, { purpose, since, heard }]) => {
        out.int(index);
        out.int(purpose);
        out.time(since);
        out.flag(heard);
      });
    },
  );
  out.list(run.held, (control) => {
    place(control);
    out.message(ControlNode, control.command);
  });
}

/** What is known of jobs that others may depend on, and of attempts launched ahead. */
function writeJobs(out: ByteWriter, run: RunState, place: (of: { scope: Scope; node: number }) => void): void {
  const active = [...run.scopes.values()].flatMap((scope) => [...scope.active.values()]);
  out.list(
    active.filter(({ job, launchedAhead }) => job !== '' || launchedAhead),
    (work) => {
      place(work);
      out.string(work.job);
      out.flag(work.launchedAhead);
      out.message(TaskReport, work.held);
    },
  );
}

/** Of the graphs of all scopes, and of those that a recovered dynamic task will run. */
function digestsOf(run: RunState): string[] {
  const digests = new Set<string>();
  for (const scope of run.scopes.values()) {
    digests.add(scope.graph.digest);
    for (const work of scope.active.values()) {
      if (work.recovered?.graph) digests.add(hexOf(work.recovered.graph.closureDigest));
    }
  }
  return [...digests];
}
