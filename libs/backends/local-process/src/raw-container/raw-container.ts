import { collectData, placeData } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { ExitRecord } from '../launcher/protocol.js';
import { dataFolders, type DataFolders } from './data-folders.js';

/**
 * A task whose inputs and outputs are files of its container (C-180), as a process of this machine: its paths lie in the attempt's
 * folder, and its command, arguments and environment name them there. A program that has such a path in itself does not find it.
 */
export class RawContainer {
  private constructor(
    private readonly launch: LaunchTask,
    private readonly folders: DataFolders,
  ) {}

  /** `undefined` for every other task. */
  static of(launch: LaunchTask, attemptFolder: string): RawContainer | undefined {
    const folders = dataFolders(launch, attemptFolder);
    return folders && new RawContainer(launch, folders);
  }

  /** Command and environment as they run here. */
  relocated(argv: readonly string[], env: Readonly<Record<string, string>>) {
    const { relocate } = this.folders;
    return {
      argv: argv.map(relocate),
      env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, relocate(value)])),
    };
  }

  async place(blob: BlobStore): Promise<void> {
    const value = this.launch.inputs?.value;
    const inputs = value?.$case === 'stored' ? LiteralMap.decode(await blob.get(value.value.uri)) : value?.value;
    await placeData(inputs?.literals ?? {}, blob, this.folders);
  }

  /** After it exited well: brings what it left to `blob` and writes `outputs.pb` or `error.pb` to `files`. */
  async collect(exit: ExitRecord, blob: BlobStore, files: BlobStore): Promise<void> {
    if (exit.killed || exit.code !== 0) return;
    const { name, bytes } = await collectData(this.launch, blob, this.folders);
    await files.put(`${this.launch.outputPrefix.replace(/\/+$/, '')}/${name}`, Buffer.from(bytes));
  }
}
