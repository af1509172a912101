import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterClient, Credentials, Informer, pods, startCluster, type Kube } from '@aloft/backend-kubernetes/testing';
import { type LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { createLogger } from '@aloft/telemetry';
import type { Action, Exchange } from '../proxy/http-proxy.js';
import type { JobRecord } from './evidence.js';
import { type Fate, kubernetesVerdicts } from './fates.js';
import type { Errand, Part } from './part.js';
import { idOf } from './propeller.js';

interface Pod {
  metadata: { name: string; namespace: string; uid: string; annotations?: Record<string, string> };
  spec: { tolerations?: { key?: string }[] };
  status?: { phase?: string };
}

const owner = 'faults';
/** What kwok's nodes are told of a pod (tools/infra/kwok/stages.yaml). */
const prefix = 'test.aloft.dev/';

/** A real API server, etcd and scheduler; nodes that pretend, and do with each pod what its annotations say. */
export class KubernetesPart implements Part {
  readonly backend = 'kubernetes';
  readonly verdicts = kubernetesVerdicts;
  readonly jobs: JobRecord[] = [];

  private readonly seen = new Set<string>();
  private closing: () => Promise<void> = async () => undefined;

  private constructor(
    private readonly kube: Kube,
    readonly holdsJobs: boolean,
  ) {}

  /** `holdsPods`: with finalizers of the platform's (decision 0131). */
  static async start(holdsPods: boolean): Promise<KubernetesPart> {
    const part = new KubernetesPart(await startCluster({ kwok: 3 }), holdsPods);
    await part.watch();
    return part;
  }

  /** Past all proxies: an answer that an API server was killed over tells nobody what was made. */
  private async watch(): Promise<void> {
    const credentials = await Credentials.load({ kubeconfig: this.kube.kubeconfig, connections: 4 });
    const client = new ClusterClient('main', credentials);
    const informer = new Informer({
      client,
      resource: pods,
      labelSelector: `aloft.dev/owner=${owner}`,
      logger: createLogger('faults', { level: 'silent' }),
      onChanged: (object) => this.made(object as Pod),
      onGone: (object) => this.made(object as Pod),
    });
    informer.start();
    await informer.synced();
    this.closing = async () => {
      await informer.stop();
      client.close();
    };
  }

  private made({ metadata, spec }: Pod): void {
    if (this.seen.has(metadata.uid)) return;
    this.seen.add(metadata.uid);
    const attempt = TaskAttempt.fromJSON(JSON.parse(metadata.annotations?.['aloft.dev/attempt'] ?? '{}'));
    const spot = spec.tolerations?.some(({ key }) => key === 'spot') ?? false;
    this.jobs.push({ attempt: idOf(attempt), id: metadata.uid, at: Date.now(), spot });
  }

  get upstream(): string {
    return this.kube.url;
  }

  config(url: string, folder: string): Record<string, unknown> {
    const kubeconfig = join(folder, 'kubeconfig');
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'main', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'admin', user: { token: this.kube.token } }],
        contexts: [{ name: 'main', context: { cluster: 'main', user: 'admin' } }],
        'current-context': 'main',
      }),
      { mode: 0o600 },
    );
    return {
      kubernetes: {
        clusters: [{ name: 'main', kubeconfig }],
        owner,
        finalizers: this.holdsJobs,
        graceSeconds: 1,
        orphans: { everyMs: 2_000, afterMs: 20_000 },
        pods: {
          nodeSelector: { type: 'kwok' },
          spot: { tolerations: [{ key: 'spot', operator: 'Exists' }] },
          patience: { imageMs: 1_500 },
        },
      },
    };
  }

  errandOf({ method, path }: Exchange): Errand {
    if (/[?&]watch=/.test(path)) return 'watch';
    if (method === 'POST' && path.endsWith('/pods')) return 'submit';
    if (method === 'DELETE') return 'end';
    return method === 'GET' ? 'look' : 'other';
  }

  tellsOfEnd(bytes: Buffer): boolean {
    return bytes.includes('"terminated":') && bytes.includes('"MODIFIED"');
  }

  refusal(what: 'throttle' | 'fail' | 'expired'): Action {
    const [status, reason] = refusals[what];
    const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code: status, message: 'a fault' };
    return { kind: 'answer', status, headers: { 'retry-after': '0' }, body: JSON.stringify(body) };
  }

  answered(exchange: Exchange): void {
    if (this.errandOf(exchange) !== 'submit' || exchange.status !== 201) return;
    this.made(JSON.parse(String(exchange.answer)) as Pod);
  }

  prepare(launch: LaunchTask, fate: Fate, runMs: number): void {
    const says = (name: string, value: string) => (launch.annotations[`${prefix}${name}`] = value);
    if (fate === 'no-image') return void says('waiting', 'ImagePullBackOff');
    says('run-for', `${runMs}ms`);
    if (behaviours[fate]) says('behaviour', behaviours[fate]);
  }

  async left(): Promise<string[]> {
    const selector = encodeURIComponent(`aloft.dev/owner=${owner}`);
    const { body } = await this.kube.call('GET', `/api/v1/pods?labelSelector=${selector}`).catch((error: unknown) => ({
      body: { items: undefined, error },
    }));
    if (!body.items) return [`perhaps something: the API does not say (${JSON.stringify(body)})`];
    return ((body.items ?? []) as unknown as Pod[]).map(
      ({ metadata, status }) => `the pod ${metadata.namespace}/${metadata.name} (${status?.phase})`,
    );
  }

  restart = (): Promise<void> => this.kube.restartApi();

  async stop(): Promise<void> {
    await this.closing();
    await this.kube.stop();
  }
}

const refusals = {
  throttle: [429, 'TooManyRequests'],
  fail: [503, 'ServiceUnavailable'],
  expired: [410, 'Expired'],
} as const;

const behaviours: Partial<Record<Fate, string>> = {
  exit: 'exit',
  'out-of-memory': 'oom',
  reclaimed: 'reclaimed',
  'node-lost': 'node-lost',
  evicted: 'evicted',
  deleted: 'deleted',
};
