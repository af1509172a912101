import { invalidArgument } from '@aloft/errors';
import { experimental, type ChannelOptions } from '@grpc/grpc-js';

const { createResolver, registerResolver, splitHostPort, statusOrFromError, statusOrFromValue } = experimental;

type Resolver = experimental.Resolver;
type Listener = experimental.ResolverListener;
type Resolution = experimental.StatusOr<experimental.Endpoint[]>;

const listScheme = 'aloft-addresses';
const unavailable = 14;

export interface Target {
  /** As grpc-js takes it. */
  uri: string;
  /** There may be several servers behind it: calls take turns. */
  balanced: boolean;
}

/**
 * `host:port`, `host:port,host:port` (all of them, each name with all its addresses), or a name of gRPC's own schemes
 * (`dns:///name:port`: all its addresses).
 */
export function parseTarget(address: string): Target {
  if (/^[a-z][a-z0-9+.-]*:\/{2}/.test(address)) return { uri: address, balanced: true };
  const parts = address.split(',').map((part) => part.trim());
  for (const part of parts)
    if (splitHostPort(part)?.port === undefined)
      throw invalidArgument(`"${address}" is no gRPC address: it should be host:port[,host:port…] or dns:///name:port`);
  if (parts.length === 1) return { uri: address, balanced: false };
  register();
  return { uri: `${listScheme}:${parts.join(',')}`, balanced: true };
}

let registered = false;
function register(): void {
  if (!registered) registerResolver(listScheme, AddressesResolver);
  registered = true;
}

/**
 * The addresses of all names of a list. Each is looked up by grpc-js' own DNS resolver, which looks again when connections
 * fail; names that are unknown just now are left out as long as others are known.
 */
class AddressesResolver implements Resolver {
  private readonly children: Resolver[];
  private readonly found: (Resolution | undefined)[];

  constructor(
    { path }: experimental.GrpcUri,
    private readonly listener: Listener,
    options: ChannelOptions,
  ) {
    const parts = path.split(',');
    this.found = parts.map(() => undefined);
    this.children = parts.map((part, i) =>
      createResolver(
        { scheme: 'dns', path: part },
        (resolution) => {
          this.found[i] = resolution;
          return this.report();
        },
        options,
      ),
    );
  }

  static getDefaultAuthority({ path }: experimental.GrpcUri): string {
    return path.split(',')[0]!;
  }

  updateResolution(): void {
    for (const child of this.children) child.updateResolution();
  }

  destroy(): void {
    for (const child of this.children) child.destroy();
  }

  private report(): boolean {
    const known = this.found.flatMap((resolution) => (resolution?.ok ? resolution.value : []));
    const all = this.found.every((resolution) => resolution !== undefined);
    if (known.length > 0) return this.listener(statusOrFromValue(known), {}, null, '');
    if (!all) return true;
    const failed = this.found.find((resolution) => resolution?.ok === false);
    const details = failed?.ok === false ? failed.error.details : 'no address is known';
    return this.listener(statusOrFromError({ code: unavailable, details }), {}, null, '');
  }
}
