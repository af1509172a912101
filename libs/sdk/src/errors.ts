/** A value, or a connection, that does not fit the declared type. The message names the path and what would be right. */
export class TypeMismatchError extends TypeError {
  override readonly name: string = 'TypeMismatchError';
}

/** A workflow that cannot be built as written. */
export class DefinitionError extends Error {
  override readonly name: string = 'DefinitionError';
}

/**
 * Thrown by a task that may succeed when it is tried again: the attempt fails as RECOVERABLE and uses one of the task's
 * `retries` (C-30, C-170). Every other error of a task ends it at once.
 */
export class RecoverableError extends Error {
  override readonly name: string = 'RecoverableError';
  /** Marks it across copies of this package: a task bundle carries its own. */
  readonly recoverable = true;
}

/** The SDK or the platform around the task failed, not the author's code. */
export class TaskSystemError extends Error {
  override readonly name: string = 'TaskSystemError';
  readonly origin = 'system';
}
