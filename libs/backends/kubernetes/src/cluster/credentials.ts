import http from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { invalidArgument } from '@aloft/errors';
import type { KubeConfig } from '@kubernetes/client-node';

/** Milliseconds for which headers and certificates are taken as they are. */
const freshMs = 10_000;

export interface ClusterAccess {
  /** Absent: the account of the pod that this process runs in. */
  kubeconfig?: string | undefined;
  /** Of the kubeconfig; absent: its current one. */
  context?: string | undefined;
  /** Connections at once. */
  connections: number;
}

/** What every request to one cluster needs: address, credentials as they are now, and an agent that keeps its connections. */
export class Credentials {
  private known: { server: string; headers: Record<string, string>; agent: http.Agent } | undefined;
  private asked: Promise<void> | undefined;
  private freshUntil = 0;
  private material = '';

  private constructor(
    private readonly config: KubeConfig,
    private readonly connections: number,
  ) {}

  /**
   * The client library is loaded here, and not with this module: it is large, and most processes have no cluster. Only its
   * kubeconfig, with all the ways to log in, is used: its requests would each open a connection of their own (decision 0090).
   * @throws INVALID_ARGUMENT if there is no such file or context
   */
  static async load({ kubeconfig, context, connections }: ClusterAccess): Promise<Credentials> {
    const { KubeConfig } = await import('@kubernetes/client-node');
    const config = new KubeConfig();
    try {
      if (kubeconfig === undefined) config.loadFromCluster();
      else config.loadFromFile(kubeconfig);
    } catch (error) {
      throw invalidArgument(
        `the kubeconfig ${kubeconfig ?? "of this process's pod"} cannot be read: ${(error as Error).message}`,
      );
    }
    if (context !== undefined) {
      const names = config.getContexts().map(({ name }) => name);
      if (!names.includes(context))
        throw invalidArgument(`${kubeconfig}: there is no context "${context}"; there are: ${names.join(', ')}`);
      config.setCurrentContext(context);
    }
    if (!config.getCurrentCluster())
      throw invalidArgument(`${kubeconfig ?? "this process's pod"}: it names no cluster (current-context is not set)`);
    return new Credentials(config, connections);
  }

  async current() {
    if (performance.now() > this.freshUntil || !this.known) await (this.asked ??= this.ask());
    return this.known as NonNullable<typeof this.known>;
  }

  /** They were refused: asked for again before the next request. */
  renew(): void {
    this.freshUntil = 0;
  }

  close(): void {
    this.known?.agent.destroy();
  }

  private async ask(): Promise<void> {
    try {
      const options: RequestOptions = {};
      await this.config.applyToHTTPSOptions(options);
      const cluster = this.config.getCurrentCluster();
      const server = cluster?.server ?? '';
      const { auth, ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
      if (auth) headers['authorization'] = `Basic ${Buffer.from(auth).toString('base64')}`;
      const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
      const material = JSON.stringify([server, cluster?.proxyUrl, Object.values(tls).map(String)]);
      const agent = material === this.material && this.known ? this.known.agent : this.agentFor(options, server, tls);
      this.material = material;
      this.known = { server, headers, agent };
      this.freshUntil = performance.now() + freshMs;
    } finally {
      this.asked = undefined;
    }
  }

  private agentFor(options: RequestOptions, server: string, tls: https.AgentOptions): http.Agent {
    if (this.config.getCurrentCluster()?.proxyUrl) return options.agent as http.Agent;
    // Watches hold some of their own.
    const maxSockets = this.connections + 16;
    const keep = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets };
    return server.startsWith('http:') ? new http.Agent(keep) : new https.Agent({ ...keep, ...tls });
  }
}
