import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchClient } from '@aloft/bench/client';

const cli = fileURLToPath(new URL('../../apps/cli/dist/main.js', import.meta.url));

/** The command line as people use it, in project aloft; what it printed. @throws Error with all of that, if it ends with anything but 0 */
export function aloftAt(grpc: string, domain: string, args: readonly string[]): string {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const where = ['--endpoint', grpc, '--project', 'aloft', '--domain', domain];
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args, ...where], { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`aloft ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** A client for as long as that takes. */
export async function withClient<T>(grpc: string, use: (client: BenchClient) => Promise<T>): Promise<T> {
  const client = new BenchClient(grpc);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
