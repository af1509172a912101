import type { LookUpRecovered } from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import type { ExecutionEvent, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { GraphResolved, LogEntry, RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import { NodeExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { NodeExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import type { HistoryReader } from '../runs/history-reader.js';
import type { Answer } from './answers.js';

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
}

interface RunPast {
  /** By spec path: ids hold attempts, paths do not, so nodes are found again whatever was retried (C-84). */
  nodes: Map<string, NodePast>;
  graphs: Map<string, GraphResolved>;
  children: Map<string, string>;
}

const kept = 16;

/** What a recovered run takes over (C-80…C-84), from the old run's own history. */
export class RecoveryRequests {
  private readonly pasts = new Map<string, Promise<RunPast>>();

  constructor(private readonly histories: HistoryReader) {}

  async lookUp(ask: LookUpRecovered): Promise<Answer> {
    let past: RunPast;
    try {
      past = await this.past(ask);
    } catch (error) {
      // Nothing is known of the old run: everything runs again.
      if (error instanceof AloftError && error.code === 'NOT_FOUND') return { $case: 'recovered', value: absent };
      throw error;
    }
    const node = past.nodes.get(ask.specPath);
    if (!node) return { $case: 'recovered', value: absent };
    return {
      $case: 'recovered',
      value: {
        found: node.phase === Phase.SUCCEEDED || node.phase === Phase.RECOVERED,
        inputs: node.inputs,
        outputs: node.outputs,
        cacheMetadata: node.cacheMetadata,
        deckUri: node.deckUri,
        graph: past.graphs.get(node.graphUri),
        checkpointUri: node.checkpointUri,
        recoveredItems: Buffer.alloc(0),
        childUid: past.children.get(node.childName) ?? '',
      },
    };
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
    await this.histories.replay(entries, (entry, events) => {
      past.input(entry);
      for (const event of events) past.event(event);
    });
    return past;
  }
}

const absent: RecoveredNode = {
  found: false,
  inputs: undefined,
  outputs: undefined,
  cacheMetadata: undefined,
  deckUri: '',
  graph: undefined,
  checkpointUri: '',
  recoveredItems: Buffer.alloc(0),
  childUid: '',
};

/** Gathers what a run's entries and events say of its nodes. */
export class PastBuilder implements RunPast {
  readonly nodes = new Map<string, NodePast>();
  readonly graphs = new Map<string, GraphResolved>();
  readonly children = new Map<string, string>();
  private readonly byId = new Map<string, NodePast>();

  input({ input }: LogEntry): void {
    if (input?.input?.$case !== 'answered') return;
    const { answer } = input.input.value;
    if (answer?.$case === 'graph') this.graphs.set(answer.value.closureUri, answer.value);
    if (answer?.$case === 'child' && answer.value.child) {
      this.children.set(answer.value.child.name, answer.value.childUid);
    }
  }

  event({ event }: ExecutionEvent): void {
    if (event?.$case !== 'node') return;
    const id = event.value.id?.nodeId ?? '';
    let node = this.byId.get(id);
    if (!node) {
      const parent = this.byId.get(event.value.parentNodeMetadata?.nodeId ?? '');
      const { specNodeId } = event.value;
      node = { ...empty, specPath: parent ? `${parent.specPath}/${specNodeId}` : specNodeId };
      this.byId.set(id, node);
    }
    note(node, event.value);
    // Of several tries of one parent the one that got furthest counts: what succeeded once need not run again.
    const before = this.nodes.get(node.specPath);
    if (!before || !succeeded(before)) this.nodes.set(node.specPath, node);
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
};

const succeeded = ({ phase }: NodePast): boolean => phase === Phase.SUCCEEDED || phase === Phase.RECOVERED;

const stored = (uri: string): LiteralsValue => ({
  value: { $case: 'stored', value: { uri, size: 0n, digest: Buffer.alloc(0) } },
});

function note(node: NodePast, event: NodeExecutionEvent): void {
  node.phase = event.phase;
  const { inputValue, outputResult, targetMetadata } = event;
  if (inputValue?.$case === 'inputData') node.inputs = { value: { $case: 'inline', value: inputValue.value } };
  else if (inputValue?.$case === 'inputUri' && inputValue.value !== '') node.inputs = stored(inputValue.value);
  if (outputResult?.$case === 'outputData') node.outputs = { value: { $case: 'inline', value: outputResult.value } };
  else if (outputResult?.$case === 'outputUri' && outputResult.value !== '') node.outputs = stored(outputResult.value);
  node.deckUri = event.deckUri || node.deckUri;
  if (targetMetadata?.$case === 'workflowNodeMetadata') node.childName = targetMetadata.value.executionId?.name ?? '';
  if (targetMetadata?.$case !== 'taskNodeMetadata') return;
  const { catalogKey, checkpointUri, dynamicWorkflow } = targetMetadata.value;
  node.cacheMetadata = catalogKey ?? node.cacheMetadata;
  node.checkpointUri = checkpointUri || node.checkpointUri;
  node.graphUri = dynamicWorkflow?.dynamicJobSpecUri || node.graphUri;
}
