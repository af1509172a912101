import { Metadata, type handleServerStreamingCall, type handleUnaryCall } from '@grpc/grpc-js';
import { toStatus } from '../status.js';
import { warningHeader } from '../warnings.js';
import type { CallPipeline, IncomingCall, RegisteredMethod } from './call-pipeline.js';
import type { RunningCalls } from './running-calls.js';

export function unaryHandler(
  pipeline: CallPipeline,
  method: RegisteredMethod,
  running: RunningCalls,
): handleUnaryCall<Uint8Array, Uint8Array> {
  return (call, callback) => {
    const incoming = new GrpcCall(call);
    const end = running.begin((error) => callback(toStatus(error)));
    pipeline.unary(method, call.request, incoming).then(
      (response) => {
        incoming.finish();
        if (end()) callback(null, response, incoming.trailers);
      },
      (error: unknown) => {
        incoming.finish();
        if (end()) callback(toStatus(error));
      },
    );
  };
}

/** Writes only while the peer takes it: a slow reader holds the handler's iteration up, not memory. */
export function streamingHandler(
  pipeline: CallPipeline,
  method: RegisteredMethod,
  running: RunningCalls,
): handleServerStreamingCall<Uint8Array, Uint8Array> {
  return (call) => {
    const incoming = new GrpcCall(call);
    const end = running.begin((error) => call.emit('error', toStatus(error)));
    const pump = async () => {
      for await (const message of pipeline.stream(method, call.request, incoming)) {
        if (incoming.signal.aborted) return;
        if (!call.write(message) && !(await drained(call, incoming.signal))) return;
      }
      incoming.finish();
      if (end()) call.end();
    };
    pump()
      .catch((error: unknown) => {
        incoming.finish();
        if (end()) call.emit('error', toStatus(error));
      })
      .finally(end);
  };
}

/** Resolves true once more may be written, false when the caller has gone. */
function drained(call: NodeJS.EventEmitter, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const settle = (value: boolean) => {
      call.off('drain', onDrain);
      signal.removeEventListener('abort', onAbort);
      resolve(value);
    };
    const onDrain = () => settle(true);
    const onAbort = () => settle(false);
    call.on('drain', onDrain);
    signal.addEventListener('abort', onAbort);
  });
}

interface TransportCall extends NodeJS.EventEmitter {
  readonly cancelled: boolean;
  readonly metadata: Metadata;
  getDeadline(): Date | number;
  getPeer(): string;
}

class GrpcCall implements IncomingCall {
  private controller: AbortController | undefined;
  private finished = false;
  /** Absent for nearly every call. */
  trailers: Metadata | undefined;

  constructor(private readonly call: TransportCall) {}

  get peer(): string {
    return this.call.getPeer();
  }

  get deadline(): number | undefined {
    const deadline = Number(this.call.getDeadline());
    return Number.isFinite(deadline) ? deadline : undefined;
  }

  /** Made on demand: most unary handlers never ask. */
  get signal(): AbortSignal {
    if (this.controller) return this.controller.signal;
    const controller = new AbortController();
    this.controller = controller;
    if (this.call.cancelled) controller.abort();
    // grpc-js says "cancelled" after every end of a call, also a good one.
    else this.call.on('cancelled', () => !this.finished && controller.abort());
    return controller.signal;
  }

  header(name: string): string | undefined {
    return this.call.metadata.get(name)[0]?.toString();
  }

  warn(warning: string): void {
    this.trailers ??= new Metadata();
    this.trailers.add(warningHeader, warning);
  }

  finish(): void {
    this.finished = true;
  }
}
