// The end-to-end suites against the distributed shape: starts it once (Kafka, Postgres, S3, two of each service), runs the
// specs of e2e/distributed and stock flytekit's against its front, and stops it.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './infra/ports.mjs';
import { root } from './prepare.mjs';

/** What the check `secrets` of part C asks for (e2e/flytekit/conftest.py). */
const secrets = { ALOFT_SECRET_TEAM_TOKEN: 'open-sesame', ALOFT_SECRET_TEAM_CERTIFICATE: 'certified' };

/** Starts it and gives what clients need: `{ environment, stop }`. `python`: the interpreter of Python tasks. */
export async function startDistributed(python) {
  const folder = mkdtempSync(join(tmpdir(), 'aloft-distributed-'));
  // The database runs as a user of its own where this process is root.
  chmodSync(folder, 0o755);
  const dataDir = join(folder, 'data');
  const logFile = join(folder, 'launcher.log');
  const log = openSync(logFile, 'a');
  const otlpPort = await freePort();
  const child = spawn(process.execPath, [join(root, 'tools', 'distributed.mjs')], {
    env: {
      ...process.env,
      ...secrets,
      ALOFT_DATA_DIR: dataDir,
      ALOFT_GRPC_PORT: '0',
      ALOFT_HTTP_PORT: '0',
      ALOFT_PYTHON: python,
      // The collector listens only while the trace spec runs: an exporter without one must do no harm.
      ALOFT_TELEMETRY_OTLP_ENDPOINT: `http://127.0.0.1:${otlpPort}`,
    },
    stdio: ['ignore', log, log],
  });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  const stop = async () => {
    child.kill('SIGTERM');
    const how = await ended;
    if (how !== 0) throw new Error(`the distributed platform ended with ${how}:\n${readFileSync(logFile, 'utf8')}`);
    if (!process.env.ALOFT_E2E_KEEP) rmSync(folder, { recursive: true, force: true });
  };
  for (;;) {
    const text = readFileSync(logFile, 'utf8');
    const found = /gRPC (\S+:\d+), HTTP (http:\/\/[^\s,]+)/.exec(text);
    if (found) {
      const environment = {
        ALOFT_TOPOLOGY: join(dataDir, 'topology.json'),
        ALOFT_E2E_ENDPOINT: found[1],
        ALOFT_E2E_HTTP: found[2],
        ALOFT_E2E_CONFIG: join(dataDir, 'flytekit.yaml'),
        ALOFT_E2E_SCRATCH: join(folder, 'scratch'),
        ALOFT_E2E_OTLP_PORT: String(otlpPort),
      };
      return { environment, folder, stop };
    }
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the distributed platform did not start:\n${text}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
