import { authorize, resourceOf, type Authenticator, type Policy } from '@aloft/auth';
import { AloftError, errorMapping, resourceExhausted, toAloftError } from '@aloft/errors';
import {
  readTrace,
  spanFrom,
  withTrace,
  type Histogram,
  type Logger,
  type Metrics,
  type OpenSpan,
} from '@aloft/telemetry';
import { runInCall, type CallContext } from '../call-context.js';
import type { MethodDefinition } from '../definition.js';
import { Encoded } from '../encoded.js';
import { asWarning } from '../warnings.js';
import { decodeRequest } from './decode-request.js';

export interface RegisteredMethod {
  readonly definition: MethodDefinition;
  /** A promise of the response; of (or simply) an async iterable for server streams. */
  readonly handle: (request: unknown, call: CallContext) => unknown;
}

/** A call as its transport knows it. */
export interface IncomingCall {
  readonly peer: string;
  readonly deadline: number | undefined;
  readonly signal: AbortSignal;
  /** For its answer's headers, printable ASCII. Absent where there are none. */
  warn?(warning: string): void;
  header(name: string): string | undefined;
}

/** Calls by path with encoded messages. Rejects with {@link AloftError}. */
export interface Dispatcher {
  unary(path: string, request: Uint8Array, call: IncomingCall): Promise<Uint8Array>;
  stream(path: string, request: Uint8Array, call: IncomingCall): AsyncIterable<Uint8Array>;
}

export interface PipelineOptions {
  logger: Logger;
  authenticator: Authenticator;
  policy: Policy;
  metrics: Metrics | undefined;
  maxMessageBytes: number;
}

/** What every call goes through, whatever carried it here. */
export class CallPipeline {
  private readonly durations: Histogram<'rpc' | 'code'> | undefined;

  constructor(private readonly options: PipelineOptions) {
    this.durations = options.metrics?.histogram({
      name: 'aloft_rpc_server_duration_seconds',
      help: 'Time from a call to its status',
      labels: ['rpc', 'code'],
    });
  }

  async unary(method: RegisteredMethod, bytes: Uint8Array, incoming: IncomingCall): Promise<Buffer> {
    const begun = begin(method, incoming);
    try {
      const [request, call] = await this.admit(method, bytes, incoming, begun);
      const response = await runInCall(call, () => method.handle(request, call));
      const encoded = this.encode(method, response);
      this.finished(method, begun, undefined);
      return encoded;
    } catch (thrown) {
      throw this.finished(method, begun, thrown);
    }
  }

  /** Ends when the handler's iterable ends; a handler is expected to heed `call.signal` or its iterator's `return()`. */
  async *stream(method: RegisteredMethod, bytes: Uint8Array, incoming: IncomingCall): AsyncGenerator<Buffer, void> {
    const begun = begin(method, incoming);
    let iterator: AsyncIterator<unknown> | undefined;
    const stop = () => void iterator?.return?.();
    try {
      const [request, call] = await this.admit(method, bytes, incoming, begun);
      const iterable = (await runInCall(call, () => method.handle(request, call))) as AsyncIterable<unknown>;
      iterator = iterable[Symbol.asyncIterator]();
      incoming.signal.addEventListener('abort', stop, { once: true });
      if (incoming.signal.aborted) return;
      for (;;) {
        const next = await runInCall(call, () => iterator!.next());
        if (next.done) break;
        yield this.encode(method, next.value);
      }
      this.finished(method, begun, incoming.signal.aborted ? cancelled() : undefined);
    } catch (thrown) {
      throw this.finished(method, begun, incoming.signal.aborted ? cancelled() : thrown);
    } finally {
      incoming.signal.removeEventListener('abort', stop);
      // A consumer that stops early ends the handler's iteration too.
      await iterator?.return?.();
      begun.span.end();
    }
  }

  private async admit(
    { definition }: RegisteredMethod,
    bytes: Uint8Array,
    incoming: IncomingCall,
    { span }: Begun,
  ): Promise<[unknown, CallContext]> {
    const { maxMessageBytes, authenticator, policy } = this.options;
    if (bytes.byteLength > maxMessageBytes)
      throw tooLarge(`the request of ${definition.path}`, bytes.byteLength, maxMessageBytes);
    const principal = await authenticator.authenticate((name) => incoming.header(name));
    const request = decodeRequest(definition, bytes);
    await authorize(policy, principal, definition.path.slice(1), resourceOf(request));
    const call: CallContext = {
      path: definition.path,
      principal,
      trace: span.trace,
      requestBytes: bytes,
      deadline: incoming.deadline,
      get peer() {
        return incoming.peer;
      },
      get signal() {
        return incoming.signal;
      },
      warn: (message) => {
        this.options.logger.warn({ rpc: definition.path, warning: message }, 'the caller is warned');
        incoming.warn?.(asWarning(message));
      },
      header: (name) => incoming.header(name),
    };
    return [request, call];
  }

  private encode({ definition }: RegisteredMethod, response: unknown): Buffer {
    const encoded = response instanceof Encoded ? response.bytes : definition.responseSerialize(response);
    if (encoded.byteLength > this.options.maxMessageBytes)
      throw tooLarge(`the answer of ${definition.path}`, encoded.byteLength, this.options.maxMessageBytes);
    return encoded;
  }

  /** Logs and counts; returns what to answer for `thrown`. */
  private finished(
    { definition: { path } }: RegisteredMethod,
    { started, span }: Begun,
    thrown: unknown,
  ): AloftError | undefined {
    const milliseconds = performance.now() - started;
    const error = thrown === undefined ? undefined : toAloftError(thrown);
    this.durations?.observe({ rpc: path, code: error?.code ?? 'OK' }, milliseconds / 1000);
    withTrace(span.trace, () => this.log(path, milliseconds, error));
    if (error && errorMapping[error.code].http >= 500) span.fail(error);
    span.set({ 'rpc.response.status_code': error?.code ?? 'OK' });
    span.end();
    return error;
  }

  private log(path: string, milliseconds: number, error: AloftError | undefined): void {
    const { logger } = this.options;
    if (error === undefined) logger.debug({ rpc: path, ms: Number(milliseconds.toFixed(2)) }, 'rpc');
    else {
      const fields = { rpc: path, ms: Number(milliseconds.toFixed(2)), code: error.code, reason: error.message };
      if (errorMapping[error.code].http === 500) logger.error({ ...fields, err: error.cause ?? error }, 'rpc failed');
      else logger.debug(fields, 'rpc refused');
    }
  }
}

interface Begun {
  readonly started: number;
  readonly span: OpenSpan;
}

/** Every call is in a trace: the caller's, or one that begins here. */
function begin({ definition: { path } }: RegisteredMethod, incoming: IncomingCall): Begun {
  const caller = readTrace(incoming.header('traceparent'), incoming.header('tracestate'));
  const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': path.slice(1) };
  const span = spanFrom(caller, path.slice(1), attributes, { kind: 'server', scope: 'aloft.rpc' });
  return { started: performance.now(), span };
}

function cancelled(): AloftError {
  return new AloftError('CANCELLED', 'the caller has gone');
}

function tooLarge(what: string, size: number, max: number): AloftError {
  return resourceExhausted(
    `${what} has ${size} bytes, the limit is ${max}: pass large values by reference, or raise the server's ` +
      'maxMessageBytes and the limits of the client',
  );
}
