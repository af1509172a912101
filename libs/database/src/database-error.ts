import { AloftError, type ErrorCode } from '@aloft/errors';

/** What a failed statement or connection becomes: an AloftError with what Postgres said. */
export class DatabaseError extends AloftError {
  constructor(
    code: ErrorCode,
    message: string,
    /** Five characters of SQLSTATE; undefined when the connection failed. */
    readonly sqlState: string | undefined,
    /** Name of the constraint that was violated, if one was. */
    readonly constraint: string | undefined,
    /** The connection was lost while committing: the transaction may or may not have happened. */
    readonly outcomeUnknown: boolean,
    cause: unknown,
  ) {
    super(code, message, { cause });
    this.name = 'DatabaseError';
  }
}

/** Is this a violation of a unique constraint (of that name, if one is given)? */
export function isUniqueViolation(error: unknown, constraint?: string): error is DatabaseError {
  return (
    error instanceof DatabaseError &&
    error.sqlState === '23505' &&
    (constraint === undefined || error.constraint === constraint)
  );
}

const codesByState = new Map<string, ErrorCode>([
  ['23505', 'ALREADY_EXISTS'],
  ['40001', 'ABORTED'],
  ['40P01', 'ABORTED'],
  ['55P03', 'ABORTED'],
  ['55006', 'ABORTED'],
  ['57014', 'CANCELLED'],
  ['57P01', 'UNAVAILABLE'],
  ['57P02', 'UNAVAILABLE'],
  ['57P03', 'UNAVAILABLE'],
  ['57P05', 'UNAVAILABLE'],
  ['25006', 'UNAVAILABLE'],
  ['25P03', 'UNAVAILABLE'],
  ['53300', 'UNAVAILABLE'],
  ['58030', 'UNAVAILABLE'],
  ['42501', 'PERMISSION_DENIED'],
  // Of all its meanings, only that a row of an index is too large comes from what a caller sent.
  ['54000', 'INVALID_ARGUMENT'],
  ['XX001', 'DATA_LOSS'],
  ['XX002', 'DATA_LOSS'],
]);
const codesByClass = new Map<string, ErrorCode>([
  ['08', 'UNAVAILABLE'],
  ['22', 'INVALID_ARGUMENT'],
  ['23', 'FAILED_PRECONDITION'],
  ['53', 'RESOURCE_EXHAUSTED'],
]);
const holdsNul = 'a text holds the character NUL (U+0000), which no text may';
/** What callers can do something about, in their words. */
const explanations = new Map([
  ['22021', holdsNul],
  ['22P05', holdsNul],
  ['22003', 'a number is out of the range of what it stands for'],
  ['54000', 'an identifier or key is too long to be looked up; use a shorter one'],
]);
const lostConnection = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH']);
const lostMessages =
  /connection terminated|connection error|client was closed|timeout exceeded|cannot use a pool after calling end/i;

/** Anything thrown by `pg` as a DatabaseError; AloftErrors and errors that aren't the database's pass unchanged. */
export function toDatabaseError(thrown: unknown, { committing = false } = {}): unknown {
  if (thrown instanceof AloftError || !(thrown instanceof Error)) return thrown;
  const { code, constraint, detail } = thrown as Error & { code?: string; constraint?: string; detail?: string };
  const message = detail ? `${thrown.message} (${detail})` : thrown.message;
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !lostConnection.has(code)) {
    const mapped = codesByState.get(code) ?? codesByClass.get(code.slice(0, 2)) ?? 'INTERNAL';
    const unknown = committing && mapped === 'UNAVAILABLE';
    const said = explanations.get(code) ?? `Postgres (${code}): ${message}`;
    return new DatabaseError(mapped, said, code, constraint, unknown, thrown);
  }
  if ((code !== undefined && lostConnection.has(code)) || lostMessages.test(thrown.message)) {
    const what = committing ? 'the connection was lost while committing' : 'no connection to Postgres';
    return new DatabaseError('UNAVAILABLE', `${what}: ${message}`, undefined, undefined, committing, thrown);
  }
  return thrown;
}
