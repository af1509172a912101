import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect, type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { UsageError } from './failure.js';

/**
 * Arguments of Node for the whole platform in one process. Most of what a busy platform makes is garbage before its commit is
 * done: with room for a few of these, little of it is copied.
 */
export function standaloneArguments(): string[] {
  return ['--max-semi-space-size=128', standaloneProgram()];
}

function standaloneProgram(): string {
  const index = createRequire(import.meta.url).resolve('@aloft/standalone');
  const program = join(dirname(index), 'main.js');
  if (!existsSync(program))
    throw new UsageError('The platform is not built here.', 'Build it: npm run build (npm start does it by itself).');
  return program;
}

export interface PlatformOptions {
  grpcPort: number;
  httpPort: number;
  dataDir: string;
  /** Where its output goes. */
  logFile: string;
}

/** A platform that this process started and will stop. */
export class StartedPlatform {
  private constructor(
    private readonly process: ChildProcess,
    private readonly options: PlatformOptions,
  ) {}

  /** Starts it; it is ready when `answers` says so. Rejects with the end of its log if it ends before. */
  static async start(
    options: PlatformOptions,
    answers: () => Promise<boolean>,
    withinMs = 120_000,
  ): Promise<StartedPlatform> {
    await mkdir(dirname(options.logFile), { recursive: true });
    const log = createWriteStream(options.logFile);
    const child = spawn(process.execPath, standaloneArguments(), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ALOFT_GRPC_PORT: String(options.grpcPort),
        ALOFT_HTTP_PORT: String(options.httpPort),
        ALOFT_DATA_DIR: options.dataDir,
      },
    });
    let tail = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        log.write(chunk);
        tail = (tail + chunk.toString()).slice(-4_000);
      });
    const platform = new StartedPlatform(child, options);
    const deadline = Date.now() + withinMs;
    while (!(await answers())) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(
          `The platform ended (${child.signalCode ?? `exit code ${child.exitCode}`}) before it was ready:\n${tail}`,
        );
      if (Date.now() > deadline) {
        await platform.stop();
        throw new Error(
          `The platform was not ready within ${withinMs / 1000} s; its log is ${options.logFile}:\n${tail}`,
        );
      }
      await wait(200);
    }
    return platform;
  }

  /** Asks it to stop, and waits until it has; kills it if it takes longer than 20 seconds. */
  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(timer);
  }

  get logFile(): string {
    return this.options.logFile;
  }
}

/** Whether nothing listens on the port of this machine. */
export async function isPortFree(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
