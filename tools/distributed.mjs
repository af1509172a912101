// npm run start:distributed [-- --replicas 2] [--bus kafka|postgres] [--no-restart] [--data-dir DIR]: the distributed shape on
// this machine. Kafka, Postgres and S3 as servers of their own, every service as processes of its own, and a front with stable
// ports (ALOFT_GRPC_PORT, ALOFT_HTTP_PORT) that spreads connections over the admins. What it made is told in
// <data dir>/topology.json; SIGTERM stops it all.
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root } from './prepare.mjs';

const { values: options } = parseArgs({
  options: {
    replicas: { type: 'string', default: '2' },
    bus: { type: 'string', default: 'kafka' },
    restart: { type: 'boolean', default: true },
    'data-dir': { type: 'string', default: process.env.ALOFT_DATA_DIR ?? '.aloft-distributed' },
  },
  allowNegative: true,
});
const replicas = Number(options.replicas);
if (!Number.isInteger(replicas) || replicas < 1) fail(`--replicas ${options.replicas}: should be a number from 1 on`);
if (!['kafka', 'postgres'].includes(options.bus)) fail(`--bus ${options.bus}: should be kafka or postgres`);
const dataDir = resolve(process.env.INIT_CWD ?? process.cwd(), options['data-dir']);

prepare();
mkdirSync(dataDir, { recursive: true });
const { Launcher } = await import('./distributed/launcher.mjs');
const launcher = new Launcher({
  root,
  dataDir,
  replicas,
  bus: options.bus,
  restart: options.restart,
  ports: { grpc: Number(process.env.ALOFT_GRPC_PORT ?? 8089), http: Number(process.env.ALOFT_HTTP_PORT ?? 8088) },
});

let stopping;
const stop = (code) =>
  (stopping ??= launcher.stop().then(
    () => process.exit(code),
    (error) => fail(`could not stop cleanly: ${error.message}`),
  ));
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => void stop(0));
try {
  const { front } = await launcher.start((line) => console.log(line));
  if (!stopping)
    console.log(
      `Aloft is ready: gRPC ${front.grpc}, HTTP ${front.http}, console ${front.http}/console ` +
        `(${replicas} of each service over ${options.bus}; ${join(dataDir, 'topology.json')})`,
    );
} catch (error) {
  if (!stopping) console.error(`Aloft can't start: ${error.message}`);
  await stop(1);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
