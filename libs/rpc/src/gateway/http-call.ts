import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingCall } from '../server/call-pipeline.js';
import { warningHeader } from '../warnings.js';

const timeoutUnits: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000001 };

/** A call that came by HTTP: ends with its connection or its `Grpc-Timeout`. */
export class HttpCall implements IncomingCall {
  readonly deadline: number | undefined;
  readonly peer: string;
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout | undefined;
  private readonly onClose = () => this.controller.abort();

  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {
    this.peer = `${request.socket.remoteAddress ?? '?'}:${request.socket.remotePort ?? 0}`;
    const timeout = timeoutOf(request.headers['grpc-timeout']);
    if (timeout !== undefined) {
      this.deadline = Date.now() + timeout;
      this.timer = setTimeout(this.onClose, timeout);
    }
    response.on('close', this.onClose);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** `Grpc-Metadata-X` stands for the metadata `x`. */
  header(name: string): string | undefined {
    const { headers } = this.request;
    const value = headers[name] ?? headers[`grpc-metadata-${name}`];
    return Array.isArray(value) ? value[0] : value;
  }

  warn(warning: string): void {
    if (!this.response.headersSent) this.response.appendHeader(warningHeader, warning);
  }

  /** Resolves once more may be written; rejects when the caller has gone. */
  drained(response: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => () => {
        response.off('drain', onDrain);
        this.signal.removeEventListener('abort', onAbort);
        act();
      };
      const onDrain = settle(resolve);
      const onAbort = settle(() => reject(new Error('the caller has gone')));
      response.on('drain', onDrain);
      this.signal.addEventListener('abort', onAbort);
      if (this.signal.aborted) onAbort();
    });
  }

  finish(): void {
    clearTimeout(this.timer);
    this.response.off('close', this.onClose);
  }
}

function timeoutOf(header: string | string[] | undefined): number | undefined {
  const [, amount, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(header ?? '')) ?? [];
  return amount === undefined ? undefined : Number(amount) * timeoutUnits[unit!]!;
}
