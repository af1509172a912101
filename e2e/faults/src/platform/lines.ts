import { type Address, type LinkState, TcpProxy } from '../proxy/tcp-proxy.js';
import type { LinkTarget } from './platform.js';

/** Every line of the distributed shape: each service has its own to each part that it stands on. */
export class Lines {
  /** By role (`kafka`, `postgres`, `s3`, `services`, `clients`), then by name. */
  private readonly lines = new Map<string, Map<string, TcpProxy[]>>();

  /** A line of `from` to a part; answers where `from` has to connect to. */
  async add(role: string, name: string, upstream: Address): Promise<Address> {
    const proxy = await TcpProxy.listen(upstream);
    const named = this.lines.get(role) ?? new Map<string, TcpProxy[]>();
    this.lines.set(role, named);
    named.set(name, [...(named.get(name) ?? []), proxy]);
    return proxy.address;
  }

  /** Each by itself, and all of a role together. */
  targets(role: string): LinkTarget[] {
    const named = this.lines.get(role) ?? new Map<string, TcpProxy[]>();
    const set = (proxies: readonly TcpProxy[]) => (state: LinkState) => {
      for (const proxy of proxies) proxy.set(state);
    };
    const single = [...named].map(([name, proxies]) => ({ name, set: set(proxies) }));
    return named.size > 1 ? [...single, { name: `all → ${role}`, set: set([...named.values()].flat()) }] : single;
  }

  heal(): void {
    for (const named of this.lines.values())
      for (const proxies of named.values()) for (const proxy of proxies) proxy.heal();
  }

  async close(): Promise<void> {
    for (const named of this.lines.values())
      for (const proxies of named.values()) await Promise.all(proxies.map((proxy) => proxy.close()));
  }
}
