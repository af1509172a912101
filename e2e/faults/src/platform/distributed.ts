import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ManagedProcess } from '../processes/managed-process.js';
import { observedProcess } from '../processes/observed-process.js';
import { allProcesses, type ProcessInfo } from '../processes/proc.js';
import { freePort } from '../processes/ready.js';
import type { Address } from '../proxy/tcp-proxy.js';
import { nameOfBackend } from './embedded.js';
import {
  createFront,
  startKafka,
  startPostgres,
  startS3,
  type Front,
  type KafkaServer,
  type PostgresServer,
  type S3Server,
  type Server,
} from './infra.js';
import { leftOvers } from './left-overs.js';
import { Lines } from './lines.js';
import type { LinkTarget, PlatformUnderTest, ProcessTarget } from './platform.js';
import {
  environmentOf,
  migrateService,
  newPasswords,
  partitions,
  planReplicas,
  serviceNames,
  serviceProcess,
  type Replica,
} from './services.js';

/** A host whose lease has run out (15 s) is not heard any more; its processes are ended a moment later. */
const fencingMs = 20_000;
const local = (port: number): Address => ({ host: '127.0.0.1', port });

/**
 * Kafka, Postgres and S3 as real servers, two of each service, a front. Every service has lines of its own to all that it stands on,
 * each through a proxy. Kafka tells clients where to connect by the listener that they came on: so each service has a listener, whose
 * advertised address is that service's own line.
 */
export class DistributedPlatform implements PlatformUnderTest {
  readonly shape = 'distributed';
  readonly partitions = partitions;
  readonly fencingMs = fencingMs;
  grpc = '';
  directGrpc = '';
  private readonly lines = new Lines();
  private readonly services = new Map<string, ManagedProcess>();
  private replicas: Replica[] = [];
  private front: Front | undefined;
  private postgres: PostgresServer | undefined;
  private kafka: KafkaServer | undefined;
  private s3: S3Server | undefined;

  private constructor(
    readonly folder: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  static async start(
    folder: string,
    bus: 'kafka' | 'postgres',
    onUnexpectedEnd: (process: string, how: string) => void,
    signal?: AbortSignal,
  ): Promise<DistributedPlatform> {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const platform = new DistributedPlatform(folder, signal);
    try {
      await platform.compose(bus, onUnexpectedEnd);
      return platform;
    } catch (error) {
      await platform.stop();
      throw error;
    }
  }

  private async compose(bus: 'kafka' | 'postgres', onUnexpectedEnd: (process: string, how: string) => void) {
    this.replicas = await planReplicas(2);
    const passwords = newPasswords();
    const kafkaAddresses = new Map<string, Address>();
    const starting = [
      startPostgres(join(this.folder, 'postgres')).then((server) => (this.postgres = server)),
      startS3(join(this.folder, 's3'), passwords.bus).then((server) => (this.s3 = server)),
      ...(bus === 'kafka' ? [this.startKafka(kafkaAddresses)] : []),
    ];
    const failed = (await Promise.allSettled(starting)).find(({ status }) => status === 'rejected');
    if (failed) throw (failed as PromiseRejectedResult).reason;
    this.signal?.throwIfAborted();
    const postgres = this.postgres as PostgresServer;
    const s3 = this.s3 as S3Server;
    const admins = this.replicas.filter(({ name }) => name === 'admin');
    const catalogs = this.replicas.filter(({ name }) => name === 'catalog');
    const propellers = this.replicas.filter(({ name }) => name === 'propeller');
    this.front = await createFront();
    this.directGrpc = await this.front.listen(0, () =>
      admins.map(({ grpc, http }) => ({ ...local(grpc as number), ready: `http://127.0.0.1:${http}/readyz` })),
    );
    const clients = await this.lines.add('clients', 'clients → front', local(Number(this.directGrpc.split(':')[1])));
    this.grpc = `${clients.host}:${clients.port}`;
    const credentials = { databasePasswords: passwords, s3 };
    const environments = new Map<string, NodeJS.ProcessEnv>();
    for (const replica of this.replicas) {
      const to = (role: string, part: string, port: number) =>
        this.lines.add(role, `${replica.id} → ${part}`, local(port));
      const called = async (part: string, of: readonly Replica[]) =>
        Promise.all(of.map(({ grpc }) => to('services', part, grpc as number)));
      const calls = replica.name === 'propeller' || replica.name === 'notifier';
      environments.set(
        replica.id,
        environmentOf(replica, this.folder, credentials, {
          postgres: await to('postgres', 'postgres', postgres.port),
          kafka: kafkaAddresses.get(replica.id),
          s3: await to('s3', 's3', Number(new URL(s3.endpoint).port)),
          admins: calls ? await called('admin', admins) : admins.map(({ grpc }) => local(grpc as number)),
          catalogs: calls ? await called('catalog', catalogs) : catalogs.map(({ grpc }) => local(grpc as number)),
          propellers: propellers.map(({ grpc }) => local(grpc as number)),
          front: { grpc: this.directGrpc },
        }),
      );
    }
    for (const name of serviceNames)
      await migrateService(name, environments.get(`${name}-0`) as NodeJS.ProcessEnv, postgres.url, this.folder);
    for (const replica of this.replicas)
      this.services.set(
        replica.id,
        serviceProcess(replica, environments.get(replica.id) as NodeJS.ProcessEnv, this.folder, onUnexpectedEnd),
      );
    const giveUp = () => {
      for (const service of this.services.values()) void service.end();
    };
    this.signal?.addEventListener('abort', giveUp);
    await Promise.all([...this.services.values()].map((service) => service.start()));
    this.signal?.removeEventListener('abort', giveUp);
    this.signal?.throwIfAborted();
  }

  private async startKafka(addresses: Map<string, Address>): Promise<void> {
    const [client, controller] = [await freePort(), await freePort()];
    const listeners = [`CLIENT://127.0.0.1:${client}`, `CONTROLLER://127.0.0.1:${controller}`];
    const advertised = [`CLIENT://127.0.0.1:${client}`];
    const protocols = ['CLIENT:PLAINTEXT', 'CONTROLLER:PLAINTEXT'];
    for (const { id } of this.replicas) {
      const [name, port] = [id.replace('-', '').toUpperCase(), await freePort()];
      const line = await this.lines.add('kafka', `${id} → kafka`, local(port));
      addresses.set(id, line);
      listeners.push(`${name}://127.0.0.1:${port}`);
      advertised.push(`${name}://${line.host}:${line.port}`);
      protocols.push(`${name}:PLAINTEXT`);
    }
    this.kafka = await startKafka(join(this.folder, 'kafka'), client, {
      listeners: listeners.join(','),
      'advertised.listeners': advertised.join(','),
      'listener.security.protocol.map': protocols.join(','),
      'inter.broker.listener.name': 'CLIENT',
      'controller.listener.names': 'CONTROLLER',
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      'num.network.threads': 1,
    });
  }

  get logs(): readonly string[] {
    const servers = [this.postgres, this.kafka, this.s3].flatMap((server) => server?.log ?? []);
    return [...this.replicas.map(({ id }) => join(this.folder, `${id}.log`)), ...servers];
  }

  processes(role: string): ProcessTarget[] {
    switch (role) {
      case 'launcher':
        return this.replicas
          .filter(({ name }) => name === 'backends')
          .flatMap(({ id }) => this.childrenOf(this.services.get(id)?.pid).map((info) => ({ id, info })))
          .filter(({ info }) => info.command.includes('launcher/main.js'))
          .map(({ id, info }) => observedProcess(`launcher of ${id}`, info, async () => undefined));
      case 'postgres-backend':
        return this.childrenOf(this.postgres?.pid)
          .filter(({ command }) => /127\.0\.0\.1\(/.test(command))
          .map((info) => observedProcess(nameOfBackend(info), info, async () => undefined));
      case 'postgres':
        return this.postgres ? [serverTarget('postgres', this.postgres)] : [];
      case 'kafka':
        return this.kafka ? [serverTarget('kafka', this.kafka)] : [];
      case 's3':
        return this.s3 ? [serverTarget('s3', this.s3)] : [];
      default:
        return this.replicas.filter(({ name }) => name === role).map(({ id }) => this.serviceTarget(id));
    }
  }

  links(role: string): LinkTarget[] {
    return this.lines.targets(role);
  }

  async stop(): Promise<string[]> {
    this.lines.heal();
    const wrong: string[] = [];
    for (const name of serviceNames.toReversed()) {
      const own = this.replicas.filter((replica) => replica.name === name);
      await Promise.all(
        own.map(async ({ id }) => {
          const how = await this.services.get(id)?.end();
          if (how === 'had to be killed') wrong.push(`${id} did not stop within 30 s of SIGTERM`);
        }),
      );
    }
    await this.front?.close();
    await this.lines.close();
    for (const server of [this.s3, this.kafka, this.postgres]) await server?.stop();
    return [...wrong, ...(await leftOvers(this.folder, []))];
  }

  private serviceTarget(id: string): ProcessTarget {
    const service = this.services.get(id) as ManagedProcess;
    return {
      name: id,
      kill: () => service.kill(),
      stop: () => service.terminate(30_000),
      pause: () => service.pause(),
      resume: () => service.resume(),
      start: () => service.start(),
    };
  }

  private childrenOf(pid: number | undefined): ProcessInfo[] {
    return pid === undefined ? [] : allProcesses().filter(({ parent }) => parent === pid);
  }
}

function serverTarget(name: string, server: Server): ProcessTarget {
  return {
    name,
    kill: () => server.kill(),
    stop: async () => {
      await server.stop();
      return 'in good order';
    },
    pause: () => {
      server.pause();
      return true;
    },
    resume: () => server.resume(),
    start: () => launched(server),
  };
}

/** On a busy machine a server may take longer than its starter waits; whoever looks after it starts it again. */
async function launched(server: Server): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await server.launch();
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
}
