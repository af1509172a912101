// Starts the parts of the distributed shape in order, and stops them in the reverse one.
import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { writeClientConfig } from '../../apps/standalone/dist/client-config.js';
import * as kafka from '../infra/kafka.mjs';
import * as postgres from '../infra/postgres.mjs';
import { freePort } from '../infra/ports.mjs';
import * as s3 from '../infra/s3.mjs';
import { Front } from './front.mjs';
import { ServiceProcess } from './service-process.mjs';

const run = promisify(execFile);
const partitions = 8;
/** Those that are called start first and stop last. */
const waves = [
  ['catalog', 'admin'],
  ['propeller', 'backends', 'notifier'],
];
const names = waves.flat();
const servesGrpc = new Set(['catalog', 'admin', 'propeller']);

export class Launcher {
  #options;
  #front = new Front();
  #infra = {};
  #services = [];
  #addresses = {};
  #topologyFile;

  constructor(options) {
    this.#options = options;
    this.#topologyFile = join(options.dataDir, 'topology.json');
  }

  /** The outside servers by name, for suites that stop and pause them. */
  get infra() {
    return this.#infra;
  }

  /** Resolves with what topology.json says when everything is ready; tells its progress line by line. */
  async start(tell) {
    const { dataDir, bus, ports } = this.#options;
    await this.#endLeftovers(tell);
    this.#addresses.front = { grpc: `127.0.0.1:${ports.grpc}`, http: `http://127.0.0.1:${ports.http}` };
    const secrets = loadSecrets(join(dataDir, 'secrets.json'));
    tell(`Starting Postgres, S3${bus === 'kafka' ? ' and Kafka' : ''} …`);
    await this.#startInfra(secrets);
    const specs = await this.#specs(secrets);
    // Before what takes long: the ports of the front are what others wait for, and may be taken.
    await this.#startFront(specs);
    tell('Migrating …');
    await Promise.all(names.map((name) => this.#migrate(specs.find((spec) => spec.name === name))));
    tell(`Starting ${specs.length} services …`);
    this.#services = specs.map(
      (spec) => new ServiceProcess(spec, { restart: this.#options.restart, onChange: () => this.#writeTopology() }),
    );
    for (const service of this.#services) service.launch();
    await Promise.all(this.#services.map((service) => service.ready()));
    const { accessKeyId, secretAccessKey, endpoint } = this.#infra.s3;
    await writeClientConfig(dataDir, {
      grpcAddress: this.#addresses.front.grpc,
      publicUrl: this.#addresses.front.http,
      storage: { endpoint, accessKeyId, secretAccessKey },
    });
    return this.#writeTopology();
  }

  async stop() {
    for (const service of this.#services) service.retire();
    for (const wave of waves.toReversed())
      await Promise.all(this.#services.filter(({ spec }) => wave.includes(spec.name)).map((service) => service.stop()));
    await this.#front.close();
    await Promise.all(Object.values(this.#infra).map((server) => server.stop()));
    if (existsSync(this.#topologyFile)) writeAtomically(this.#topologyFile, JSON.stringify({ stopped: true }));
  }

  async #startInfra(secrets) {
    const { dataDir, bus } = this.#options;
    const starts = {
      postgres: () => postgres.start({ dir: join(dataDir, 'postgres') }),
      s3: () => s3.start({ dir: join(dataDir, 's3'), secretAccessKey: secrets.s3 }),
      ...(bus === 'kafka' ? { kafka: () => kafka.start({ dir: join(dataDir, 'kafka') }) } : {}),
    };
    // All are seen to their end: what has started by then is stopped by stop().
    const results = await Promise.allSettled(
      Object.entries(starts).map(async ([name, start]) => (this.#infra[name] = await start())),
    );
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #startFront(specs) {
    const { ports } = this.#options;
    const admins = specs.filter(({ name }) => name === 'admin');
    const targets = (kind) => () =>
      admins.map((spec) => {
        const { hostname, port } = new URL(kind === 'http' ? spec.http : `tcp://${spec.grpc}`);
        return { host: hostname, port: Number(port), ready: `${spec.http}/readyz` };
      });
    this.#addresses.front = {
      grpc: await this.#front.listen(ports.grpc, targets('grpc')),
      http: `http://${await this.#front.listen(ports.http, targets('http'))}`,
    };
    for (const spec of specs) Object.assign(spec.env, this.#frontVariables(spec.name));
  }

  /** Links that people and tasks follow go over the front. */
  #frontVariables(name) {
    const { grpc, http } = this.#addresses.front;
    if (name === 'backends') return { ALOFT_PUBLIC_URL: http, ALOFT_PLATFORM_ADDRESS: grpc };
    return {};
  }

  async #specs(secrets) {
    const { dataDir, replicas, root } = this.#options;
    mkdirSync(join(dataDir, 'logs'), { recursive: true });
    const specs = [];
    for (const name of names)
      for (let replica = 0; replica < replicas; replica++) {
        const http = `http://127.0.0.1:${await freePort()}`;
        const grpc = servesGrpc.has(name) ? `127.0.0.1:${await freePort()}` : undefined;
        specs.push({
          name,
          replica,
          http,
          ...(grpc ? { grpc } : {}),
          log: join(dataDir, 'logs', `${name}-${replica}.log`),
          // Not the checkout's root: an aloft.yaml there is for the embedded shape.
          cwd: dataDir,
          command: [process.execPath, join(root, 'apps', name, 'dist', 'main.js')],
          env: {},
        });
      }
    const targetOf = (wanted) =>
      specs
        .filter(({ name }) => name === wanted)
        .map(({ grpc }) => grpc)
        .join(',');
    for (const spec of specs) spec.env = this.#environment(spec, secrets, targetOf);
    return specs;
  }

  #environment(spec, secrets, targetOf) {
    const { postgres: database, s3: storage, kafka: broker } = this.#infra;
    const { dataDir, bus } = this.#options;
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^ALOFT_(CONFIG|DATA_DIR|GRPC_PORT|HTTP_PORT|DATABASE_.*|BUS_.*|BLOB_.*|PUBLIC_URL)$/.test(name),
    );
    const urlOf = (schema) => {
      const url = new URL(database.url);
      url.username = `aloft_${schema}`;
      url.password = secrets[schema];
      return url.href;
    };
    return {
      ...Object.fromEntries(inherited),
      ALOFT_DATABASE_URL: urlOf(spec.name),
      ALOFT_BUS_DRIVER: bus,
      ALOFT_BUS_PARTITIONS: String(partitions),
      ALOFT_BUS_POSTGRES_URL: urlOf('bus'),
      ...(broker
        ? {
            ALOFT_BUS_KAFKA_BROKERS: broker.brokers.join(','),
            ALOFT_BUS_KAFKA_REPLICATION_FACTOR: '1',
            ALOFT_BUS_KAFKA_MIN_IN_SYNC_REPLICAS: '1',
          }
        : {}),
      ALOFT_BLOB_ENDPOINT: storage.endpoint,
      ALOFT_BLOB_BUCKET: storage.bucket,
      ALOFT_BLOB_ACCESS_KEY_ID: storage.accessKeyId,
      ALOFT_BLOB_SECRET_ACCESS_KEY: storage.secretAccessKey,
      ALOFT_HTTP_PORT: new URL(spec.http).port,
      ...(spec.grpc ? { ALOFT_GRPC_PORT: spec.grpc.split(':')[1] } : {}),
      ALOFT_ADMIN_ADDRESS: targetOf('admin'),
      ALOFT_CATALOG_ADDRESS: targetOf('catalog'),
      ALOFT_PROPELLER_ADDRESS: targetOf('propeller'),
      ...(spec.name === 'backends' ? { ALOFT_DATA_DIR: join(dataDir, 'hosts', String(spec.replica)) } : {}),
    };
  }

  async #migrate({ name, command, env, cwd }) {
    const [program, ...args] = command;
    const all = { ...env, ALOFT_DATABASE_ADMIN_URL: this.#infra.postgres.url };
    await run(program, [...args, 'migrate'], { cwd, env: all }).catch((error) => {
      throw new Error(`the schema of ${name} could not be migrated: ${error.stderr || error.message}`);
    });
  }

  #writeTopology() {
    const { kafka: broker, postgres: database, s3: storage } = this.#infra;
    const { dir, pid, endpoint, bucket, region, accessKeyId, secretAccessKey } = storage;
    const topology = {
      launcher: process.pid,
      front: this.#addresses.front,
      ...(broker ? { kafka: { pid: broker.pid, brokers: broker.brokers, dir: broker.dir } } : {}),
      postgres: { pid: database.pid, url: database.url, dir: database.dir },
      s3: { pid, endpoint, bucket, region, accessKeyId, secretAccessKey, dir },
      services: this.#services.map((service) => ({ ...service.spec, env: told(service.spec.env), pid: service.pid })),
    };
    writeAtomically(this.#topologyFile, JSON.stringify(topology, null, 2));
    return topology;
  }

  /** What a launcher that was killed has left running on this folder would share its ports and its leases with us. */
  async #endLeftovers(tell) {
    if (!existsSync(this.#topologyFile)) return;
    const before = JSON.parse(readFileSync(this.#topologyFile, 'utf8'));
    if (before.launcher && commandLine(before.launcher).includes('distributed.mjs'))
      throw new Error(
        `process ${before.launcher} runs on ${this.#options.dataDir}: stop it first, or give --data-dir another folder`,
      );
    const left = [
      ...(before.services ?? []).map(({ pid, command }) => [pid, command[1]]),
      ...[before.kafka, before.s3].filter(Boolean).map(({ pid, dir }) => [pid, dir]),
    ].filter(([pid, mark]) => pid && commandLine(pid).includes(mark));
    if (left.length === 0) return;
    tell(`Ending ${left.length} processes that an earlier start left behind …`);
    for (const [pid] of left) process.kill(pid, 'SIGKILL');
    while (left.some(([pid, mark]) => commandLine(pid).includes(mark))) await delay(20);
  }
}

/** Made at the first start: passwords of the services' roles, and of the S3 user. */
function loadSecrets(file) {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const secrets = Object.fromEntries([...names, 'bus', 's3'].map((name) => [name, randomBytes(18).toString('hex')]));
  writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600 });
  return secrets;
}

/** What a harness needs to start the same process again; the rest of our environment is nobody's business in a file. */
function told(env) {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => /^(ALOFT_.*|PATH|HOME|LANG|VIRTUAL_ENV)$/.test(name)),
  );
}

function writeAtomically(file, text) {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function commandLine(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // It is gone.
  }
}
