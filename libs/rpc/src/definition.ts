import type { CallContext } from './call-context.js';
import type { Encoded } from './encoded.js';

/** One rpc as ts-proto writes it for grpc-js. */
export interface MethodDefinition<Q = unknown, R = unknown> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Q) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Q;
  readonly responseSerialize: (value: R) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => R;
}

/** A service as ts-proto writes it (`AdminServiceService`): methods by camel-cased name. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- messages differ by method
export type ServiceDefinition = Readonly<Record<string, MethodDefinition<any, any>>>;

export type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Q } ? Q : never;
export type ResponseOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer R } ? R : never;

/** What answers one rpc: a promise, or for a server stream something to iterate. */
export type Handler<M> = M extends { requestStream: true }
  ? never
  : M extends { responseStream: true }
    ? (request: RequestOf<M>, call: CallContext) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, call: CallContext) => Promise<ResponseOf<M> | Encoded<ResponseOf<M>>>;

/**
 * The handlers of a service. A controller that serves some of its rpcs says
 * `implements Pick<Handlers<typeof AdminServiceService>, 'createTask' | 'getTask'>`.
 */
export type Handlers<S extends ServiceDefinition> = { [K in keyof S]: Handler<S[K]> };

/** Full name of a service, e.g. `flyteidl.service.AdminService`. */
export function serviceName(definition: ServiceDefinition): string {
  const [method] = Object.values(definition);
  const name = method?.path.split('/')[1];
  if (!name) throw new Error('a service definition without methods has no name');
  return name;
}
