import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Command } from 'commander';
import { standaloneArguments } from '../platform.js';

interface Options {
  grpcPort?: string;
  httpPort?: string;
  dataDir?: string;
}

export function startCommand(): Command {
  return new Command('start')
    .description('run the whole platform here until it is stopped')
    .option('--grpc-port <port>', 'default: ALOFT_GRPC_PORT or 8089')
    .option('--http-port <port>', 'default: ALOFT_HTTP_PORT or 8088')
    .option('--data-dir <path>', 'default: ALOFT_DATA_DIR or .aloft')
    .action(async ({ grpcPort, httpPort, dataDir }: Options) => {
      const child = spawn(process.execPath, standaloneArguments(), {
        stdio: 'inherit',
        env: {
          ...process.env,
          ...(grpcPort && { ALOFT_GRPC_PORT: grpcPort }),
          ...(httpPort && { ALOFT_HTTP_PORT: httpPort }),
          ...(dataDir && { ALOFT_DATA_DIR: dataDir }),
        },
      });
      // On a terminal the child gets Ctrl+C itself; a signal to this process alone is passed on.
      const pass = (signal: NodeJS.Signals): boolean => child.kill(signal);
      process
        .on('SIGTERM', pass)
        .on('SIGINT', () => undefined)
        .on('SIGHUP', pass);
      const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
      process.exitCode = code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1);
    });
}
