import type { BlobAccess } from '@aloft/blob';
import type { Secret } from '@aloft/idl/flyteidl/core/security';
import type { Starter } from './starter.js';

export interface LocalProcessOptions {
  /** How commands become processes, for backends that differ in that alone. Default: as they are. */
  starter?: Starter;
  /** Folder for attempts, unpacked bundles and warm workers: `<data dir>/work`. */
  workDir: string;
  /** Interpreter for Python tasks, a path or a name on `PATH`. */
  python: string;
  /** Start the warm Python and Node workers before the first task needs them. */
  warmAtStart: boolean;
  /** Warm Node processes kept. */
  warmNode: number;
  /** Module with the SDK's executor (`main(argv)`), a path or URL; `undefined`: TypeScript tasks are refused. */
  nodeExecutor: string | undefined;
  /** Seen as `node_modules` by bundles that bring none. */
  nodeModules: string | undefined;
  /** What attempts may take together; absent quantities are unlimited. */
  capacity: { cpu?: number; memoryBytes?: number; slots: number; gpuDevices: readonly string[] };
  /** Milliseconds between SIGTERM and SIGKILL. */
  graceMs: number;
  /** How tasks reach blob storage themselves (FLYTE_AWS_*); asked when the backend starts. */
  storage: () => BlobAccess;
  /** Where people read an attempt's output: the platform's own address, as `http://localhost:8088`. */
  publicUrl: () => string;
  /** The platform's gRPC address for eager tasks, as `localhost:8089`. */
  platformUrl: () => string | undefined;
  /** Variables of the platform's environment that tasks get too, besides the harmless ones. */
  passEnv: readonly string[];
  /** Value of a secret; `undefined` if there is none. */
  secret: (secret: Secret) => string | undefined;
}
