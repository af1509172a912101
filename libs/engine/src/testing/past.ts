import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import { NodeExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { NodeExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import type { Answer, Driver } from './driver.js';

interface Remembered {
  event: NodeExecutionEvent;
  inputs: LiteralsValue | undefined;
  /** Name of the dynamic task whose workflow ran under it. */
  generatedBy: string | undefined;
}

/** What a run came to, by spec path, as whoever recovers it is told (C-80…C-84). Knows of the run only what it told. */
export class Past {
  private readonly nodes = new Map<string, Remembered>();
  private readonly paths = new Map<string, string>();

  constructor(private readonly driver: Driver) {
    for (const event of driver.events().nodes) {
      const nodeId = event.id!.nodeId;
      const above = this.paths.get(event.parentNodeMetadata?.nodeId ?? '');
      const path = above === undefined ? event.specNodeId : `${above}/${event.specNodeId}`;
      this.paths.set(nodeId, path);
      const before = this.nodes.get(path);
      const metadata = event.targetMetadata?.$case === 'taskNodeMetadata' ? event.targetMetadata.value : undefined;
      const inline = event.inputValue?.$case === 'inputData' ? event.inputValue.value : undefined;
      this.nodes.set(path, {
        event,
        inputs: inline ? { value: { $case: 'inline', value: inline } } : before?.inputs,
        generatedBy: metadata?.dynamicWorkflow?.id?.name ?? before?.generatedBy,
      });
    }
  }

  pathOf(nodeId: string): string {
    return this.paths.get(nodeId) ?? nodeId;
  }

  succeeded(path: string): boolean {
    const phase = this.nodes.get(path)?.event.phase;
    return phase === Phase.SUCCEEDED || phase === Phase.RECOVERED;
  }

  /** Items of an array that had succeeded before it failed or was stopped. */
  succeededItem(path: string, index: number): boolean {
    const nodeId = this.nodes.get(path)?.event.id?.nodeId ?? '';
    const bits = this.driver.lost.get(nodeId)?.succeeded;
    return bits !== undefined && (bits[index >>> 3]! & (1 << (index & 7))) !== 0;
  }

  answer(
    path: string,
    graphOf: (task: string) => { closureUri: string; closureDigest: Buffer },
  ): Answer & { $case: 'recovered' } {
    const node = this.nodes.get(path);
    const value = RecoveredNode.create();
    const answer = { $case: 'recovered' as const, value };
    if (!node) return answer;
    const { outputResult, id } = node.event;
    if (this.succeeded(path)) {
      value.found = true;
      value.inputs = node.inputs;
      if (outputResult?.$case === 'outputData')
        value.outputs = { value: { $case: 'inline', value: outputResult.value } };
      return answer;
    }
    if (node.generatedBy !== undefined) value.graph = graphOf(node.generatedBy);
    const array = this.driver.lost.get(id!.nodeId);
    if (!array) return answer;
    value.recoveredItems = Buffer.from(array.succeeded);
    const literals: Record<string, Literal> = {};
    for (const [name, source] of Object.entries(array.outputs)) {
      if ('encoded' in source) literals[name] = Literal.decode(source.encoded);
    }
    value.outputs = { value: { $case: 'inline', value: { literals } } };
    return answer;
  }
}
