import { createLogger } from '@aloft/telemetry';
import { type Handlers, type ServiceDefinition } from '../definition.js';
import { RpcServer, type RpcServerOptions } from '../server/rpc-server.js';

/** A listening server with the given handlers, without Nest; close it with `server.close(0)`. */
export async function serveForTest<S extends ServiceDefinition>(
  definition: S,
  handlers: Partial<Handlers<S>>,
  options: Partial<RpcServerOptions> = {},
): Promise<{ server: RpcServer; address: string }> {
  const server = new RpcServer({ logger: createLogger('test', { level: 'silent' }), port: 0, ...options });
  server.register(definition, handlers);
  const port = await server.listen();
  return { server, address: `127.0.0.1:${port}` };
}
