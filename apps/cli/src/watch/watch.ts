import { logUpdateStderr } from 'log-update';
import { setTimeout as wait } from 'node:timers/promises';
import { AloftError } from '@aloft/errors';
import { WatchExecutionResponse, type ExecutionSnapshot } from '@aloft/idl/aloft/v1/watch';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Connection } from '../connection.js';
import { messageJson, type Output } from '../output.js';
import { RunState, type NodeState } from './run-state.js';
import { nodeLine, renderFailure, renderTree } from './tree.js';

export interface WatchHandlers {
  /** After each change; the node that changed, if it was one. */
  onChange?: (run: RunState, node: NodeState | undefined) => void;
  onMessage?: (message: WatchExecutionResponse) => void;
  signal?: AbortSignal;
}

/** Follows a run until it is over; a lost connection is made again and continues where it was. */
export async function followRun(
  { watch }: Connection,
  id: WorkflowExecutionIdentifier,
  handlers: WatchHandlers = {},
): Promise<RunState> {
  const run = new RunState();
  for (let failures = 0; !run.isOver;) {
    try {
      const stream = watch.watchExecution(
        { id, executionOnly: false, afterSequence: run.sequence, untilStored: false },
        { signal: handlers.signal },
      );
      for await (const message of stream) {
        failures = 0;
        handlers.onMessage?.(message);
        let node: NodeState | undefined;
        if (message.update?.$case === 'snapshot') run.applySnapshot(message.update.value);
        else if (message.update?.$case === 'event') node = run.applyEvent(message.update.value);
        handlers.onChange?.(run, node);
      }
      if (!run.isOver) throw new AloftError('UNAVAILABLE', `the stream of ${id.name} ended before the run did`);
    } catch (error) {
      if (!(error instanceof AloftError) || error.code !== 'UNAVAILABLE' || ++failures > 8) throw error;
      await wait(Math.min(5_000, 100 * 2 ** failures), undefined, { signal: handlers.signal });
    }
  }
  return run;
}

/** What is known of a run now: its nodes at every depth (at most the first 5,000), and their attempts. */
export async function snapshotOf({ watch }: Connection, id: WorkflowExecutionIdentifier): Promise<ExecutionSnapshot> {
  for await (const { update } of watch.watchExecution({
    id,
    executionOnly: false,
    afterSequence: 0n,
    untilStored: false,
  }))
    if (update?.$case === 'snapshot') return update.value;
  throw new AloftError('INTERNAL', `the platform sent no snapshot of ${id.name}`);
}

/** Follows a run and shows it: a tree that moves on a terminal, a line for each change elsewhere, JSON lines for programs. */
export async function showRun(
  connection: Connection,
  id: WorkflowExecutionIdentifier,
  output: Output,
  signal?: AbortSignal,
): Promise<RunState> {
  if (output.isJson) {
    return followRun(connection, id, {
      signal,
      onMessage: (message) =>
        output.item(messageJson('aloft.v1.WatchExecutionResponse', WatchExecutionResponse, message), ''),
    });
  }
  const shown = process.stderr.isTTY === true ? liveTree(id.name) : linePerChange(id.name, output);
  try {
    const run = await followRun(connection, id, { signal, onChange: shown.change });
    shown.end(run);
    const failure = renderFailure(run);
    if (failure) output.say(`\n${failure}`);
    return run;
  } finally {
    shown.stop();
  }
}

interface Shown {
  change(run: RunState, node: NodeState | undefined): void;
  end(run: RunState): void;
  stop(): void;
}

function liveTree(name: string): Shown {
  let latest: RunState | undefined;
  let frame = 0;
  const draw = (): void => {
    if (latest) logUpdateStderr(renderTree(latest, name, Date.now(), frame++));
  };
  const timer = setInterval(draw, 100);
  return {
    change: (run) => (latest = run),
    end: (run) => {
      latest = run;
      draw();
    },
    stop: () => {
      clearInterval(timer);
      logUpdateStderr.done();
    },
  };
}

/** Of a run that was over before anything could be seen of it: its whole tree at the end. */
function linePerChange(name: string, output: Output): Shown {
  const last = new Map<string, string>();
  return {
    change: (_run, node) => {
      if (!node || /(^|-)(start-node|end-node)$/.test(node.id)) return;
      const done = [...node.items.values()].filter(({ phase }) => phase === 3).length;
      const key = `${node.phase} ${done} ${node.waiting?.detail ?? ''}`;
      if (last.get(node.id) === key) return;
      last.set(node.id, key);
      output.say(nodeLine(node, Date.now()));
    },
    end: (run) => {
      const tree = renderTree(run, name, Date.now());
      output.say(last.size > 0 ? tree.split('\n')[0]! : tree);
    },
    stop: () => undefined,
  };
}
