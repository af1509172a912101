import { join } from 'node:path';
import { outcomeUris } from '@aloft/backend-kit';
import { type BlobStore, createLocalBlobStore, GrowingObject, type LocalBlobStore, parseUri } from '@aloft/blob';
import { AloftError } from '@aloft/errors';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { withPatience } from './patience.js';

/** Milliseconds that storage may be away before an attempt's results count as lost. */
const uploadPatienceMs = 60_000;
const uploadsAtOnce = 4;
const smallBytes = 8 * 2 ** 20;

/**
 * An attempt's inputs, outputs and log as plain files. Where blob storage is a folder of this machine, they are its objects.
 * Elsewhere (S3) the attempt's folder holds a small storage of its own under the same URIs: tasks read and write paths all the
 * same, and what they wrote is uploaded before anybody hears of their end.
 */
export class AttemptFiles {
  /** What the attempt's own URIs are read from. */
  readonly store: BlobStore;
  readonly log: string;
  private readonly mirror: LocalBlobStore | undefined;
  private readonly growing: GrowingObject | undefined;

  constructor(
    private readonly launch: LaunchTask,
    private readonly blob: BlobStore,
    private readonly options: {
      /** The attempt's folder. */
      folder: string;
      run: number;
      /** Whether the attempt is still this host's: nothing of it is written to shared storage otherwise. */
      mayWrite: () => boolean;
      onError: (error: unknown) => void;
    },
  ) {
    const { log } = outcomeUris(launch.outputPrefix);
    const path = blob.localPath(log);
    if (path !== undefined) {
      this.store = blob;
      this.log = path;
      return;
    }
    const buckets = [
      ...new Set([launch.outputPrefix, launch.inputsUri].filter(Boolean).map((uri) => parseUri(uri).bucket)),
    ];
    this.mirror = createLocalBlobStore({ dir: join(options.folder, 'data'), buckets, durable: false });
    this.store = this.mirror;
    this.log = this.mirror.localPath(log) as string;
    const { run, mayWrite, onError } = options;
    this.growing = new GrowingObject(blob, { uri: log, path: this.log, run, mayWrite, onError });
  }

  /** Puts what the command line names where it is read. */
  async place(argv: readonly string[]): Promise<void> {
    if (!this.mirror) return;
    const { inputs, inputsUri, outputPrefix } = this.launch;
    const value = inputs?.value;
    if (inputsUri !== '')
      await this.mirror.put(
        inputsUri,
        value?.$case === 'stored'
          ? await this.blob.stream(value.value.uri)
          : LiteralMap.encode(value?.value ?? { literals: {} }).finish(),
      );
    // Written by the propeller, for tasks that ask for their own definition.
    const template = `${outputPrefix.replace(/\/+$/, '')}/task.pb`;
    const path = this.mirror.localPath(template);
    if (path !== undefined && argv.some((arg) => arg.includes(path)))
      await this.mirror.put(template, await this.blob.stream(template));
  }

  /** Its process runs: what it says can be followed from now on. */
  started(): void {
    this.growing?.start();
  }

  /** Nothing more comes; what there is stays here. */
  async stop(): Promise<void> {
    await this.growing?.stop();
  }

  /**
   * Everything below the output prefix goes to blob storage, the log with it. Rejects with UNAVAILABLE when the storage did
   * not take it in a minute, with ABORTED when the attempt is another host's by now. `aborted`: its end does not wait for
   * storage that is away.
   */
  async upload(aborted = false): Promise<void> {
    const { mirror, growing, blob, launch } = this;
    if (!mirror) return;
    await growing?.stop();
    const prefix = `${launch.outputPrefix.replace(/\/+$/, '')}/`;
    const { log } = outcomeUris(launch.outputPrefix);
    const ms = aborted ? 0 : uploadPatienceMs;
    const left = [() => this.patiently(log, ms, () => growing?.finish())];
    for await (const { uri, size } of mirror.list(prefix)) {
      if (uri === log || uri === `${prefix}task.pb` || uri === launch.inputsUri) continue;
      left.push(() =>
        this.patiently(uri, ms, async () =>
          blob.put(uri, size > smallBytes ? await mirror.stream(uri) : await mirror.get(uri)),
        ),
      );
    }
    const worker = async () => {
      for (let next = left.shift(); next; next = left.shift()) await next();
    };
    await Promise.all(Array.from({ length: uploadsAtOnce }, worker));
  }

  private async patiently(uri: string, ms: number, write: () => Promise<unknown> | undefined): Promise<void> {
    try {
      await withPatience(async () => {
        if (!this.options.mayWrite()) throw new AloftError('ABORTED', `${uri}: the attempt is not held here any more`);
        await write();
      }, ms);
    } catch (error) {
      if (error instanceof AloftError && error.code === 'ABORTED') throw error;
      throw new AloftError('UNAVAILABLE', `${uri} could not be uploaded: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}
