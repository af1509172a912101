import { AloftError } from '@aloft/errors';

/** Classes of compile errors, named as Flyte's compiler names them (C-112), and two of ours. */
export type CompileErrorCode =
  | 'CycleDetected'
  | 'BranchNodeIdNotFound'
  | 'BranchNodeHasNoCondition'
  | 'BranchNodeHasNoDefault'
  | 'ValueRequired'
  | 'InvalidValue'
  | 'NodeReferenceNotFound'
  | 'TaskReferenceNotFound'
  | 'WorkflowReferenceNotFound'
  | 'VariableNameNotFound'
  | 'DuplicateAlias'
  | 'DuplicateId'
  | 'MismatchingTypes'
  | 'MismatchingBindings'
  | 'ParameterBoundMoreThanOnce'
  | 'ParameterNotBound'
  | 'NoEntryNodeFound'
  /** Ours: no node leads to the end. */
  | 'NoExitNodeFound'
  | 'UnreachableNodes'
  | 'UnrecognizedValue'
  | 'SyntaxError'
  | 'NoNodesFound'
  | 'IllegalEnumValue'
  | 'AmbiguousBindingUnionValue'
  | 'IncompatibleBindingUnionValue'
  | 'NoConditionFound'
  | 'FieldNotFound'
  | 'InvalidLiteralType'
  /** Ours: an array node's number of successes, ratio or bound inputs make no sense. */
  | 'InvalidArrayNode';

/** One thing wrong with a task or workflow. */
export interface CompileError {
  code: CompileErrorCode;
  /** The node it was found at, `start-node` for the workflow's inputs, or a part of a task. */
  nodeId: string;
  /** The workflow or task, when it isn't the one that was given (a sub-workflow). */
  within?: string;
  message: string;
}

const shownErrors = 50;

/** Refusal of a task or workflow with everything that is wrong with it. Code INVALID_ARGUMENT. */
export class CompileFailure extends AloftError {
  constructor(
    subject: string,
    readonly errors: readonly CompileError[],
  ) {
    super('INVALID_ARGUMENT', describe(subject, errors));
    this.name = 'CompileFailure';
  }
}

function describe(subject: string, errors: readonly CompileError[]): string {
  const lines = errors.slice(0, shownErrors).map(({ code, nodeId, within, message }) => {
    const place = within === undefined ? `node ${nodeId}` : `node ${nodeId} of ${within}`;
    return `  ${code} at ${place}: ${message}`;
  });
  if (errors.length > shownErrors) lines.push(`  … and ${errors.length - shownErrors} more`);
  return `${subject} does not compile, ${errors.length === 1 ? '1 error' : `${errors.length} errors`}:\n${lines.join('\n')}`;
}

/** The one place that throws: does nothing when there are no errors. */
export function refuse(subject: string, errors: readonly CompileError[]): void {
  if (errors.length > 0) throw new CompileFailure(subject, errors);
}

/** Collects errors; the same error is kept once. */
export class ErrorCollector {
  private readonly seen = new Set<string>();
  readonly errors: CompileError[] = [];

  constructor(private readonly within?: string) {}

  /** Number of errors reported so far, repeated ones included: unchanged means that nothing was wrong in between. */
  reported = 0;

  add(code: CompileErrorCode, nodeId: string, message: string): void {
    this.reported++;
    const key = `${code}\0${nodeId}\0${message}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.errors.push({ code, nodeId, message, ...(this.within === undefined ? {} : { within: this.within }) });
  }

  addAll(errors: readonly CompileError[]): void {
    this.reported += errors.length;
    this.errors.push(...errors);
  }
}
