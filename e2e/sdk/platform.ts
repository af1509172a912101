import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Embedded } from '../trace/embedded.js';

const cli = fileURLToPath(new URL('../../apps/cli/dist/main.js', import.meta.url));

/** What the check `secrets` asks for; tools/distributed-suite.mjs gives the other shape the same. */
export const secrets = { ALOFT_SECRET_TEAM_TOKEN: 'open-sesame', ALOFT_SECRET_TEAM_CERTIFICATE: 'certified' };

/** The platform under test: the distributed one that tools/integration.mjs started, else an embedded one of its own. */
export class Platform {
  private constructor(
    readonly grpc: string,
    private readonly embedded: Embedded | undefined,
  ) {}

  static async start(): Promise<Platform> {
    const endpoint = process.env['ALOFT_E2E_ENDPOINT'];
    if (endpoint) return new Platform(endpoint, undefined);
    const embedded = new Embedded(secrets);
    await embedded.start();
    return new Platform(embedded.grpc, embedded);
  }

  /** What its processes logged. */
  logs(): string {
    if (this.embedded) return JSON.stringify(this.embedded.log);
    const { services } = JSON.parse(readFileSync(process.env['ALOFT_TOPOLOGY']!, 'utf8')) as {
      services: { log: string }[];
    };
    return services.map(({ log }) => readFileSync(log, 'utf8')).join('\n');
  }

  /** The command line as people use it; throws with its output if it fails. */
  async aloft(...args: string[]): Promise<string> {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const where = ['--endpoint', this.grpc, '--project', 'flytesnacks', '--domain', 'development'];
    const child = spawn(process.execPath, [cli, ...args, ...where], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`aloft ${args.join(' ')} ended with ${String(code)}:\n${output}`);
    return output;
  }

  async close(): Promise<void> {
    await this.embedded?.close();
  }
}
