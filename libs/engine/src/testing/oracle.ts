import { dynamicInput, retries, type Flow, type Ref, type Step } from './random-flow.js';
import { uniqueNodeId } from '../names.js';

/**
 * What a random workflow must come to: evaluated naively, the whole graph over and over until nothing changes, as flytepropeller
 * walks it. Shares with the engine only the form of the names.
 */

export interface Fate {
  /** Retryable failures before it succeeds. */
  failures: number;
  /** It can't succeed. */
  hopeless: boolean;
}

export type FateOf = (nodeId: string, index?: number) => Fate;

export type Outcome = { phase: 'SUCCEEDED'; value: number } | { phase: 'FAILED' | 'SKIPPED' };

interface Place {
  nodeId: string;
  attempt: number;
}

export class Oracle {
  /** Last phase of every node that shows at all, by unique id. */
  readonly phases = new Map<string, Outcome['phase']>();

  constructor(
    private readonly fateOf: FateOf,
    /** The attempt of a dynamic task that generated what runs under it. */
    private readonly attemptOf: (nodeId: string) => number = (nodeId) => fateOf(nodeId).failures,
  ) {}

  /** The flow's value, or undefined if it fails. All scopes are taken to let what doesn't depend on failures finish. */
  evaluate(flow: Flow, input: number, parent?: Place): number | undefined {
    const outcomes: (Outcome | undefined)[] = flow.steps.map(() => undefined);
    const valueOf = (ref: Ref): number => {
      if (ref < 0) return input;
      const outcome = outcomes[ref];
      return outcome?.phase === 'SUCCEEDED' ? outcome.value : NaN;
    };
    for (let changed = true; changed;) {
      changed = false;
      flow.steps.forEach((step, at) => {
        if (outcomes[at]) return;
        const needs = this.needsOf(step);
        if (this.readsOf(step).some((ref) => ref >= 0 && !outcomes[ref])) return;
        const nodeId = uniqueNodeId(parent, `n${at}`);
        const blocked = needs.some((ref) => outcomes[ref]!.phase !== 'SUCCEEDED');
        outcomes[at] = blocked ? { phase: 'SKIPPED' } : this.run(step, nodeId, valueOf, (ref) => outcomes[ref]);
        this.phases.set(nodeId, outcomes[at].phase);
        changed = true;
      });
    }
    return outcomes.some((outcome) => outcome!.phase === 'FAILED') ? undefined : valueOf(flow.output);
  }

  /** All steps that it or a case of it reads: to look at them is enough, whatever became of them. */
  private readsOf(step: Step): Ref[] {
    const inner = [...(step.cases ?? []).map((each) => each.step), ...(step.otherwise ? [step.otherwise] : [])];
    return [...step.ins, ...step.after, ...inner.flatMap((each) => this.readsOf(each))];
  }

  /** Steps that must be over first. What only cases of a branch read isn't waited for by the branch itself. */
  private needsOf(step: Step): Ref[] {
    const own = step.kind === 'sleep' ? [] : step.kind === 'task' ? step.ins : step.ins.slice(0, 1);
    return [...own, ...step.after].filter((ref) => ref >= 0);
  }

  private run(
    step: Step,
    nodeId: string,
    valueOf: (ref: Ref) => number,
    outcomeOf: (ref: Ref) => Outcome | undefined,
  ): Outcome {
    const [a, b] = [valueOf(step.ins[0]), valueOf(step.ins[1])];
    switch (step.kind) {
      case 'sleep':
        return { phase: 'SUCCEEDED', value: 0 };
      case 'task':
        return this.succeeds(nodeId) ? { phase: 'SUCCEEDED', value: a + b + 1 } : { phase: 'FAILED' };
      case 'array': {
        const good = Array.from({ length: step.size! }, (_, index) => this.succeeds(nodeId, index));
        if (good.filter(Boolean).length < step.needed!) return { phase: 'FAILED' };
        // None, read as a number by the tests' tasks, is 0.
        return { phase: 'SUCCEEDED', value: good[0] ? 1 : 0 };
      }
      case 'sub': {
        const value = this.evaluate(step.flow!, a, { nodeId, attempt: 0 });
        return value === undefined ? { phase: 'FAILED' } : { phase: 'SUCCEEDED', value };
      }
      case 'dynamic': {
        if (!this.succeeds(nodeId)) return { phase: 'FAILED' };
        const attempt = this.attemptOf(nodeId);
        const value = this.evaluate(step.flow!, dynamicInput, { nodeId, attempt });
        return value === undefined ? { phase: 'FAILED' } : { phase: 'SUCCEEDED', value };
      }
      case 'branch': {
        const at = step.cases!.findIndex(({ limit }) => a > limit);
        const chosen = at < 0 ? step.otherwise! : step.cases![at]!.step;
        const idOf = (each: string) => uniqueNodeId({ nodeId, attempt: 0 }, each);
        step.cases!.forEach((_, other) => other !== at && this.phases.set(idOf(`c${other}`), 'SKIPPED'));
        if (at >= 0) this.phases.set(idOf('else'), 'SKIPPED');
        const chosenId = idOf(at < 0 ? 'else' : `c${at}`);
        const blocked = this.needsOf(chosen).some((ref) => outcomeOf(ref)?.phase !== 'SUCCEEDED');
        const outcome: Outcome = blocked ? { phase: 'SKIPPED' } : this.run(chosen, chosenId, valueOf, outcomeOf);
        this.phases.set(chosenId, outcome.phase);
        return outcome;
      }
    }
  }

  private succeeds(nodeId: string, index?: number): boolean {
    const fate = this.fateOf(nodeId, index);
    return !fate.hopeless && fate.failures <= retries;
  }
}
