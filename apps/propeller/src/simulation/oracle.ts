import { itemValue, taskValue, type Fate, type Flow, type Ref, type Step } from './flow.js';

/**
 * What a flow must come to: the whole graph, naively, again and again until nothing changes. Shares nothing with the engine. Time limits
 * make an end uncertain (how long an attempt takes is the faults' business), so it says what may be.
 */
export interface Expected {
  /** Its value if it succeeds; undefined: it can't. */
  value: number | undefined;
  mayFail: boolean;
}

/** Failures of the system that one step may have before it is given up. */
const systemBudget = 3;

export function expectedOf(flow: Flow, input: number): Expected {
  const results: (Expected | undefined)[] = flow.steps.map(() => undefined);
  const valueOf = (ref: Ref): number | undefined => (ref < 0 ? input : results[ref]?.value);
  for (let changed = true; changed;) {
    changed = false;
    flow.steps.forEach((step, at) => {
      if (results[at] || readsOf(step).some((ref) => ref >= 0 && !results[ref])) return;
      results[at] = stepOf(step, valueOf);
      changed = true;
    });
  }
  const all = results.map((result) => result!);
  const succeeds = all.every(({ value }) => value !== undefined);
  return {
    value: succeeds ? valueOf(flow.output) : undefined,
    mayFail: !succeeds || all.some(({ mayFail }) => mayFail),
  };
}

/** Steps that have to be looked at first, whatever becomes of them. */
function readsOf(step: Step): Ref[] {
  const inner = [...(step.cases ?? []).map((each) => each.step), ...(step.otherwise ? [step.otherwise] : [])];
  return [...step.ins, ...step.after, ...inner.flatMap(readsOf)];
}

const never: Expected = { value: undefined, mayFail: true };
const surely = (value: number): Expected => ({ value, mayFail: false });

/** Steps without a value of their own count 0 when they succeed. */
function stepOf(step: Step, valueOf: (ref: Ref) => number | undefined): Expected {
  const [a, b] = [valueOf(step.ins[0]), valueOf(step.ins[1])];
  if (step.after.some((ref) => valueOf(ref) === undefined)) return never;
  switch (step.kind) {
    case 'sleep':
      return surely(0);
    case 'approve':
      return step.signal === 1 ? surely(0) : never;
    case 'signal':
      return surely(step.signal);
    case 'task':
      return a === undefined || b === undefined
        ? never
        : after(fateOf(step, step.fates[0]!), surely(taskValue(step.serial, a, b)));
    case 'array': {
      if (a === undefined || b === undefined) return never;
      const items = step.fates.map((fate) => fateOf(step, fate));
      const good = items.filter(({ can }) => can).length;
      return good >= step.needed ? surely(itemValue(step.serial, a)) : never;
    }
    case 'sub':
    case 'child':
      return a === undefined ? never : expectedOf(step.flow!, a);
    case 'dynamic':
      return a === undefined ? never : after(fateOf(step, step.fates[0]!), expectedOf(step.flow!, a));
    case 'branch': {
      if (a === undefined) return never;
      const chosen = step.cases!.find(({ limit }) => a > limit)?.step ?? step.otherwise!;
      return stepOf(chosen, valueOf);
    }
  }
}

function after(fate: { can: boolean; may: boolean }, result: Expected): Expected {
  if (!fate.can) return never;
  return { value: result.value, mayFail: result.mayFail || !fate.may };
}

/** Whether a task can succeed, and whether it is sure to. */
function fateOf(step: Step, { mishaps, hopeless }: Fate): { can: boolean; may: boolean } {
  let user = 0;
  let system = 0;
  for (const mishap of mishaps) {
    if (mishap === 'system') system += 1;
    else user += 1;
    if (user > step.retries || system >= systemBudget) return { can: false, may: false };
  }
  return { can: !hopeless, may: !hopeless && step.limit === 0 };
}
