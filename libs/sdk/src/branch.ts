import { castable } from '@aloft/literals';
import { DefinitionError } from './errors.js';
import { buildWith, GraphBuilder, nodeOfHandle, requireBuilder } from './graph/builder.js';
import type { Condition } from './graph/conditions.js';
import { sourcesOf, type Node } from './graph/node.js';
import type { Promised } from './graph/promise.js';
import { operandName, operandsOf } from './graph/conditions.js';
import type { Fields } from './types/data-type.js';

type OutputsLike = Readonly<Record<string, unknown>>;
/** Outputs that both cases have, with a wire type that either may give. */
type Common<A, B> = {
  readonly [K in keyof A & keyof B]: A[K] extends Promised<infer WA>
    ? B[K] extends Promised<infer WB>
      ? Promised<WA | WB>
      : never
    : never;
};

/** A branch that still needs its last case. */
export interface OpenBranch<R extends OutputsLike> {
  elseWhen<N extends OutputsLike>(condition: Condition, then: () => N): OpenBranch<Common<R, N>>;
  otherwise<N extends OutputsLike>(then: () => N): Common<R, N>;
  /** The run fails with this message if no case applies (C-122). */
  otherwiseFail(message: string): R;
}

/**
 * Runs the first case whose condition holds; the others are skipped (C-120). Each case calls exactly one task, workflow
 * or launch plan; several steps of a case go into a sub-workflow.
 *
 *     const evaluated = when(gt(choice.gain, 0.01), () => evaluate({ model })).otherwise(() => useBaseline({ data }))
 */
export function when<R extends OutputsLike>(
  condition: Condition,
  then: () => R,
  options: { name?: string } = {},
): OpenBranch<R> {
  const builder = requireBuilder('when');
  // The branch has its id before its cases have theirs, so that ids read in order.
  const id = builder.newId();
  const cases = [{ condition, node: caseNode(builder, then, 'then') }];

  const finish = (otherwise: { node: Node } | { error: string }): object => {
    const nodes = [...cases.map((branch) => branch.node), ...('node' in otherwise ? [otherwise.node] : [])];
    const inputs = Object.fromEntries(
      cases
        .flatMap((branch) => operandsOf(branch.condition))
        .map((promise) => [operandName(promise), { kind: 'promise' as const, promise, expected: promise.type }]),
    );
    for (const promise of cases.flatMap((branch) => operandsOf(branch.condition)))
      if (promise.scope !== builder.scope)
        throw new DefinitionError(`${builder.title}: a condition of ${id} takes a promise of another workflow.`);
    const node: Node = {
      id,
      target: { kind: 'branch', cases, otherwise },
      inputs,
      outputs: commonOutputs(builder.title, id, nodes),
      options: { name: options.name },
      // It also waits for what its cases take, because a case waits for its branch only (C-22).
      after: [
        ...new Set(nodes.flatMap((inner) => [...Object.values(inner.inputs).flatMap(sourcesOf), ...inner.after])),
      ],
    };
    builder.nodes.push(node);
    return builder.handle(node);
  };

  const open: OpenBranch<OutputsLike> = {
    elseWhen: (next, body) => {
      cases.push({ condition: next, node: caseNode(builder, body, 'elseWhen') });
      return open as never;
    },
    otherwise: (body) => finish({ node: caseNode(builder, body, 'otherwise') }) as never,
    otherwiseFail: (message) => finish({ error: message }) as never,
  };
  return open as unknown as OpenBranch<R>;
}

function caseNode(builder: GraphBuilder, body: () => unknown, name: string): Node {
  const inner = new GraphBuilder(`${builder.title}, case '${name}'`, 'n', builder);
  const result = buildWith(inner, body);
  const [node, ...more] = inner.nodes;
  if (!node || more.length > 0)
    throw new DefinitionError(
      `${inner.title} has ${inner.nodes.length} nodes and must have exactly one; put several steps into a workflow and call that.`,
    );
  if (nodeOfHandle(result) !== node)
    throw new DefinitionError(`${inner.title} must return what its call returned, e.g. () => train({ … }).`);
  return node;
}

function commonOutputs(title: string, id: string, nodes: readonly Node[]): Fields {
  const [first, ...rest] = nodes;
  const names = Object.keys(first!.outputs).filter((name) => rest.every((node) => name in node.outputs));
  return Object.fromEntries(
    names.map((name) => {
      const type = first!.outputs[name]!;
      for (const node of rest) {
        const other = node.outputs[name]!;
        if (!castable(other.literalType, type.literalType))
          throw new DefinitionError(
            `${title}: the cases of ${id} give '${name}' as ${type.label} and as ${other.label}; they must be of one type.`,
          );
      }
      return [name, type];
    }),
  );
}
