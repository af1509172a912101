// Starts the embedded S3 endpoint on a temporary folder and drives it with Python's S3 clients (check.py).
// Usage: node libs/blob/clients/run.mjs [PYTHON…]; build first.
import { spawnSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalBlobStore, createS3Endpoint } from '@aloft/blob';
import { createLogger } from '@aloft/telemetry';

const dir = mkdtempSync(join(tmpdir(), 'aloft-s3-clients-'));
const credentials = { accessKeyId: 'aloft', secretAccessKey: 'a very secret key/+' };
const { objects } = createLocalBlobStore({ dir, credentials });
const endpoint = createS3Endpoint({
  objects,
  credentials,
  logger: createLogger('s3', { level: process.env.LOG_LEVEL ?? 'error' }),
});
const url = await endpoint.listen(0);
let failed = false;
const pythons = process.argv.length > 2 ? process.argv.slice(2) : [process.env.ALOFT_PYTHON ?? 'python3'];
for (const python of pythons) {
  if (spawnSync(python, ['--version']).status !== 0) throw new Error(`cannot run ${python}`);
  const args = [
    join(import.meta.dirname, 'check.py'),
    url,
    credentials.accessKeyId,
    credentials.secretAccessKey,
    'aloft',
  ];
  const child = spawn(python, args, { stdio: 'inherit', env: { ...process.env, BLOB_FOLDER: dir } });
  if ((await new Promise((resolve) => child.once('exit', resolve))) !== 0) failed = true;
}
await endpoint.close(0);
rmSync(dir, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
