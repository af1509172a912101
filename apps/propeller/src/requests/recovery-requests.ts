import {
  executionPrefix,
  type LostArray,
  type LookUpRecovered,
  type RecallOutputs,
  type RunObserver,
} from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import type { ExecutionEvent, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { RecoveredNode, type GraphResolved, type LogEntry } from '@aloft/idl/aloft/v1/engine';
import { NodeExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { NodeExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { maxInlineBytes } from '../commit/applier.js';
import type { HistoryReader } from '../runs/history-reader.js';
import type { Answer } from './answers.js';
import type { LiteralRequests } from './literal-requests.js';

/** What the events of a run say of one of its nodes. */
interface NodePast {
  specPath: string;
  phase: Phase;
  inputs: LiteralsValue | undefined;
  outputs: LiteralsValue | undefined;
  cacheMetadata: RecoveredNode['cacheMetadata'];
  deckUri: string;
  checkpointUri: string;
  graphUri: string;
  childName: string;
  /** Of an array that didn't succeed: what its items had come to. */
  array: LostArray | undefined;
}

interface RunPast {
  /** By spec path: ids hold attempts, paths do not, so nodes are found again whatever was retried (C-84). */
  nodes: Map<string, NodePast>;
  graphs: Map<string, GraphResolved>;
}

const kept = 16;

/** What a recovered run takes over (C-80…C-84), from the old run's own history. */
export class RecoveryRequests {
  private readonly pasts = new Map<string, Promise<RunPast>>();

  constructor(
    private readonly histories: HistoryReader,
    private readonly literals: LiteralRequests,
  ) {}

  /** `run`: the one that recovers. */
  async lookUp(ask: LookUpRecovered, run: WorkflowExecutionIdentifier): Promise<Answer> {
    let past: RunPast;
    try {
      past = await this.past(ask);
    } catch (error) {
      // Nothing is known of the old run: everything runs again.
      if (error instanceof AloftError && error.code === 'NOT_FOUND') return recovered({});
      throw error;
    }
    const node = past.nodes.get(ask.specPath);
    if (!node) return recovered({});
    if (node.phase === Phase.SUCCEEDED || node.phase === Phase.RECOVERED) {
      const { inputs, outputs, cacheMetadata, deckUri } = node;
      return recovered({ found: true, inputs, outputs, cacheMetadata, deckUri });
    }
    return recovered({
      graph: past.graphs.get(node.graphUri),
      checkpointUri: node.checkpointUri,
      childName: node.childName,
      ...(node.array ? await this.itemsOf(node.array, `${executionPrefix(run)}/recovered/${ask.specPath}`) : {}),
    });
  }

  /** C-84: items that succeeded, with their outputs collected; by value when small, else written under `prefix`. */
  private async itemsOf(array: LostArray, prefix: string): Promise<Partial<RecoveredNode>> {
    const rest = {
      recoveredItems: Buffer.from(array.succeeded),
      itemChildren: Object.fromEntries(array.children),
      itemCheckpoints: Object.fromEntries(array.checkpoints),
    };
    const literals: Record<string, Literal> = {};
    let size = 0;
    for (const [name, source] of Object.entries(array.outputs)) {
      size += 'encoded' in source ? source.encoded.length + name.length * 3 + 16 : Infinity;
      if (size > maxInlineBytes) break;
      if ('encoded' in source) literals[name] = Literal.decode(source.encoded);
    }
    if (size <= maxInlineBytes) return { ...rest, outputs: { value: { $case: 'inline', value: { literals } } } };
    const uri = `${prefix}/outputs.pb`;
    const answer = await this.literals.store({ kind: 'store', uri, variables: array.outputs });
    const stored = answer.$case === 'stored' ? answer.value.stored : undefined;
    return { ...rest, outputs: stored && { value: { $case: 'stored', value: stored } } };
  }

  /**
   * What a node of this very run gave when it last succeeded. From the log as it is: the past of a run that goes on is not
   * kept. A node that nobody knows has no outputs.
   */
  async recall({ nodeId }: RecallOutputs, run: { uid: string; id: WorkflowExecutionIdentifier }): Promise<Answer> {
    let outputs: LiteralsValue | undefined;
    await this.histories.replay(await this.histories.entries(run.uid, run.id), (_entry, events) => {
      for (const { event } of events) {
        if (event?.$case !== 'node' || event.value.id?.nodeId !== nodeId) continue;
        const { phase, outputResult } = event.value;
        if (phase === Phase.SUCCEEDED || phase === Phase.RECOVERED) outputs = outputsOf(outputResult);
      }
    });
    return { $case: 'recalled', value: { outputs } };
  }

  private past({ recoverFromUid, recoverFrom }: LookUpRecovered): Promise<RunPast> {
    const known = this.pasts.get(recoverFromUid);
    if (known) return known;
    if (this.pasts.size >= kept) this.pasts.delete(this.pasts.keys().next().value!);
    const reading = this.histories.entries(recoverFromUid, recoverFrom).then((entries) => this.fold(entries));
    this.pasts.set(recoverFromUid, reading);
    reading.catch(() => this.pasts.delete(recoverFromUid));
    return reading;
  }

  private async fold(entries: readonly LogEntry[]): Promise<RunPast> {
    const past = new PastBuilder();
    await this.histories.replay(
      entries,
      (entry, events) => {
        past.input(entry);
        for (const event of events) past.event(event);
      },
      past,
    );
    return past;
  }
}

function recovered(node: Partial<RecoveredNode>): Answer {
  return { $case: 'recovered', value: { ...RecoveredNode.create(), ...node } };
}

/** Gathers what a run's entries and events say of its nodes. */
export class PastBuilder implements RunPast, RunObserver {
  readonly nodes = new Map<string, NodePast>();
  readonly graphs = new Map<string, GraphResolved>();
  private readonly lost = new Map<string, LostArray>();
  private readonly byId = new Map<string, NodePast>();

  input({ input }: LogEntry): void {
    if (input?.input?.$case !== 'answered') return;
    const { answer } = input.input.value;
    if (answer?.$case === 'graph') this.graphs.set(answer.value.closureUri, answer.value);
  }

  /** Comes before the event that says what became of the array's node. */
  arrayLost(array: LostArray): void {
    this.lost.set(array.nodeId, array);
  }

  event({ event }: ExecutionEvent): void {
    if (event?.$case === 'nodesReset') {
      // What they came to before is not what they come to.
      for (const nodeId of event.value.nodeIds) {
        const node = this.byId.get(nodeId);
        if (node) Object.assign(node, { ...empty, specPath: node.specPath });
      }
      return;
    }
    if (event?.$case !== 'node') return;
    const id = event.value.id?.nodeId ?? '';
    let node = this.byId.get(id);
    if (!node) {
      const parent = this.byId.get(event.value.parentNodeMetadata?.nodeId ?? '');
      const { specNodeId } = event.value;
      node = { ...empty, specPath: parent ? `${parent.specPath}/${specNodeId}` : specNodeId };
      this.byId.set(id, node);
    }
    const before = node.graphUri;
    note(node, event.value);
    node.array = this.lost.get(id);
    // Another try generated another workflow: what the nodes of the one before came to says nothing of the new one's.
    if (before !== '' && node.graphUri !== before) this.forgetBelow(node.specPath);
    // Of several tries of one parent the one that got furthest counts: what succeeded once need not run again.
    const best = this.nodes.get(node.specPath);
    if (!best || !succeeded(best)) this.nodes.set(node.specPath, node);
  }

  private forgetBelow(path: string): void {
    for (const other of this.nodes.keys()) if (other.startsWith(`${path}/`)) this.nodes.delete(other);
  }
}

const empty: NodePast = {
  specPath: '',
  phase: Phase.UNDEFINED,
  inputs: undefined,
  outputs: undefined,
  cacheMetadata: undefined,
  deckUri: '',
  checkpointUri: '',
  graphUri: '',
  childName: '',
  array: undefined,
};

const succeeded = ({ phase }: NodePast): boolean => phase === Phase.SUCCEEDED || phase === Phase.RECOVERED;

const stored = (uri: string): LiteralsValue => ({
  value: { $case: 'stored', value: { uri, size: 0n, digest: Buffer.alloc(0) } },
});

function outputsOf(result: NodeExecutionEvent['outputResult']): LiteralsValue | undefined {
  if (result?.$case === 'outputData') return { value: { $case: 'inline', value: result.value } };
  return result?.$case === 'outputUri' && result.value !== '' ? stored(result.value) : undefined;
}

function note(node: NodePast, event: NodeExecutionEvent): void {
  node.phase = event.phase;
  const { inputValue, outputResult, targetMetadata } = event;
  if (inputValue?.$case === 'inputData') node.inputs = { value: { $case: 'inline', value: inputValue.value } };
  else if (inputValue?.$case === 'inputUri' && inputValue.value !== '') node.inputs = stored(inputValue.value);
  node.outputs = outputsOf(outputResult) ?? node.outputs;
  node.deckUri = event.deckUri || node.deckUri;
  if (targetMetadata?.$case === 'workflowNodeMetadata') node.childName = targetMetadata.value.executionId?.name ?? '';
  if (targetMetadata?.$case !== 'taskNodeMetadata') return;
  const { catalogKey, checkpointUri, dynamicWorkflow } = targetMetadata.value;
  node.cacheMetadata = catalogKey ?? node.cacheMetadata;
  node.checkpointUri = checkpointUri || node.checkpointUri;
  node.graphUri = dynamicWorkflow?.dynamicJobSpecUri || node.graphUri;
}
