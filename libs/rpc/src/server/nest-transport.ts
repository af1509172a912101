import { Catch, type ExceptionFilter, type INestApplication, type INestMicroservice } from '@nestjs/common';
import { ServerGrpc, type NestMicroservice } from '@nestjs/microservices';
import { isObservable, lastValueFrom, throwError } from 'rxjs';
import type { CallContext } from '../call-context.js';
import { serviceName, type Handlers, type ServiceDefinition } from '../definition.js';
import type { RpcServer } from './rpc-server.js';

/**
 * Nest's gRPC transport over an {@link RpcServer}: Nest finds the handlers (guards, interceptors and pipes included), the
 * server's pipeline runs them.
 */
export class NestGrpcTransport extends ServerGrpc {
  constructor(
    private readonly rpc: RpcServer,
    private readonly definitions: readonly ServiceDefinition[],
    private readonly graceMs = 5_000,
  ) {
    super({ package: [] });
  }

  override async listen(callback: (error?: unknown, ...optional: unknown[]) => void): Promise<void> {
    try {
      for (const definition of this.definitions) this.registerHandlers(definition);
      this.rejectStrays();
      await this.rpc.listen();
      callback();
    } catch (error) {
      callback(error);
    }
  }

  override close(): Promise<void> {
    return this.rpc.close(this.graceMs);
  }

  private registerHandlers(definition: ServiceDefinition): void {
    const name = serviceName(definition);
    const handlers: Record<string, (request: unknown, call: CallContext) => Promise<unknown>> = {};
    for (const rpc of Object.keys(definition)) {
      const handler = this.messageHandlers.get(patternOf(name, rpc));
      if (!handler) continue;
      handlers[rpc] = async (request, call) => {
        const result: unknown = await handler(request, call);
        return isObservable(result) ? lastValueFrom(result) : result;
      };
    }
    this.rpc.register(definition, handlers as Partial<Handlers<ServiceDefinition>>);
  }

  /** A controller whose service is not in the list would be silently unreachable. */
  private rejectStrays(): void {
    const known = new Set(
      this.definitions.flatMap((definition) =>
        Object.keys(definition).map((rpc) => patternOf(serviceName(definition), rpc)),
      ),
    );
    for (const pattern of this.messageHandlers.keys())
      if (pattern.includes('"rpc"') && !known.has(pattern))
        throw new Error(`a controller answers ${pattern}, but that service is not among those to be hosted`);
  }
}

function patternOf(service: string, rpc: string): string {
  return JSON.stringify({ service, rpc, streaming: 'no_stream' });
}

/** Leaves errors as they are: Nest would turn all but its own into "Internal server error". */
@Catch()
class KeepErrors implements ExceptionFilter {
  catch(exception: unknown) {
    return throwError(() => exception);
  }
}

/**
 * Makes a Nest application answer `definitions` through `rpc`; it listens with `app.startAllMicroservices()` and closes
 * with the application (or earlier, by `rpc.close()`).
 */
export function connectGrpc(
  app: INestApplication,
  rpc: RpcServer,
  definitions: readonly ServiceDefinition[],
): INestMicroservice {
  // Handlers are found when it starts to listen, once the filter is there; lifecycle hooks are the application's to call.
  const microservice = app.connectMicroservice<{ strategy: NestGrpcTransport }>(
    { strategy: new NestGrpcTransport(rpc, definitions) },
    { deferInitialization: true },
  ) as NestMicroservice;
  microservice.setIsInitHookCalled(true);
  microservice.useGlobalFilters(new KeepErrors());
  return microservice;
}
