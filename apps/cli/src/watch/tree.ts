import chalk from 'chalk';
import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import {
  NodeExecution_Phase as Phase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { colourPhase, formatDuration } from '../output.js';
import { hasEnded, isFromCatalog, type NodeState, type RunState } from './run-state.js';

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

function symbolOf(node: NodeState, frame: number | undefined): string {
  switch (node.phase) {
    case Phase.SUCCEEDED:
    case Phase.RECOVERED:
      return chalk.green('✔');
    case Phase.FAILED:
    case Phase.TIMED_OUT:
      return chalk.red('✘');
    case Phase.ABORTED:
      return chalk.yellow('■');
    case Phase.SKIPPED:
      return chalk.dim('○');
    case Phase.RUNNING:
    case Phase.DYNAMIC_RUNNING:
    case Phase.FAILING:
      return chalk.cyan(frame === undefined ? '▸' : spinner[frame % spinner.length]!);
    default:
      return chalk.dim('·');
  }
}

/** One node as a line without its place in the tree; with `frame`, what runs turns. */
export function nodeLine(node: NodeState, now: number, frame?: number): string {
  const parts = [symbolOf(node, frame), chalk.bold(node.name || node.specId)];
  if (node.name && node.name !== node.specId) parts.push(chalk.dim(node.specId));
  if (node.items.size > 0) parts.push(progressOf(node));
  const begin = node.startedAt ?? node.queuedAt;
  if (node.phase === Phase.SKIPPED) parts.push(chalk.dim('skipped'));
  else if (isFromCatalog(node)) parts.push(chalk.magenta('from the catalog'));
  else if (begin !== undefined && node.phase !== Phase.QUEUED)
    parts.push(chalk.dim(formatDuration((node.endedAt ?? now) - begin)));
  else if (node.phase === Phase.QUEUED && !node.waiting) parts.push(chalk.dim('queued'));
  if (node.waiting && !hasEnded(node)) parts.push(waitText(node.waiting, now));
  if (node.attempt > 0) parts.push(chalk.yellow(`attempt ${node.attempt + 1}`));
  if (node.phase === Phase.ABORTED) parts.push(chalk.yellow('aborted'));
  if (node.error && !node.isParent) parts.push(chalk.red(firstLine(node.error.message)));
  return parts.join(' ');
}

/** Why it isn't running, each kind in a colour of its own group, and for how long. */
function waitText({ kind, detail, since }: NonNullable<NodeState['waiting']>, now: number): string {
  const time = since === undefined ? '' : ` · ${formatDuration(now - since)}`;
  return waitColour(kind)(`${firstLine(detail)}${time}`);
}

/** Yellow: somebody has to do something; blue: room is short; the rest goes on by itself. */
function waitColour(kind: WaitReason_Kind): (text: string) => string {
  if (kind === WaitReason_Kind.GATE) return chalk.yellow;
  const short = [WaitReason_Kind.CAPACITY, WaitReason_Kind.QUOTA, WaitReason_Kind.LIMIT, WaitReason_Kind.PARALLELISM];
  return short.includes(kind) ? chalk.blue : chalk.dim;
}

function progressOf(node: NodeState): string {
  const items = [...node.items.values()];
  const count = (...phases: TaskPhase[]): number => items.filter(({ phase }) => phases.includes(phase)).length;
  const done = count(TaskPhase.SUCCEEDED);
  const failed = count(TaskPhase.FAILED);
  const width = Math.min(20, items.length);
  const filled = Math.round((width * done) / items.length);
  const bar = hasEnded(node) ? '' : `${chalk.green('█'.repeat(filled))}${chalk.dim('░'.repeat(width - filled))} `;
  return `${bar}${done}/${items.length}${failed > 0 ? chalk.red(` ${failed} failed`) : ''}`;
}

const firstLine = (text: string): string => {
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? '';
  return line.length > 120 ? `${line.slice(0, 117)}…` : line;
};

/** The run as a tree of its nodes, as it is now. */
export function renderTree(run: RunState, name: string, now: number, frame?: number): string {
  const children = new Map<string | undefined, NodeState[]>();
  const known = new Set(run.visible.map(({ id }) => id));
  for (const node of run.visible) {
    const parent = node.parent && known.has(node.parent) ? node.parent : undefined;
    children.set(parent, [...(children.get(parent) ?? []), node]);
  }
  const byId = (a: NodeState, b: NodeState): number => a.specId.localeCompare(b.specId, 'en', { numeric: true });
  const lines: string[] = [];
  const walk = (parent: string | undefined, indent: string): void => {
    const own = (children.get(parent) ?? []).sort(byId);
    own.forEach((node, index) => {
      const last = index === own.length - 1;
      lines.push(`${chalk.dim(indent + (last ? '└─ ' : '├─ '))}${nodeLine(node, now, frame)}`);
      walk(node.id, indent + (last ? '   ' : '│  '));
    });
  };
  walk(undefined, '');
  const phase = WorkflowExecution_Phase[run.phase];
  const time = run.startedAt === undefined ? '' : chalk.dim(` ${formatDuration((run.endedAt ?? now) - run.startedAt)}`);
  return [`${chalk.bold(name)} ${colourPhase(phase)}${time}`, ...lines].join('\n');
}

/** What to say about a run that did not succeed. */
export function renderFailure(run: RunState): string | undefined {
  if (!run.isOver || run.succeeded) return undefined;
  if (run.abortCause) return `Aborted: ${run.abortCause}`;
  const failed = run.visible.find((node) => node.error && !node.isParent);
  const error = failed?.error ?? run.error;
  if (!error) return undefined;
  return `${failed ? `${failed.name || failed.specId} (${failed.id}): ` : ''}${error.code}\n${error.message.trim()}`;
}
