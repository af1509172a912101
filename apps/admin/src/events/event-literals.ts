import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { resourceExhausted } from '@aloft/errors';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { AdminConfig } from '../config.js';
import { executionFolder, maxInlineBytes } from '../executions/execution-inputs.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { sha256 } from '../registry/canonical.js';
import type { NameKey } from '../registry/identifiers.js';
import type { ForeignEvent, RunEvent } from './event-requests.js';

/** Literals that came by value in foreign events. */
export class EventLiterals {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly blob: BlobStore,
    private readonly config: AdminConfig,
  ) {}

  /** Small ones stay in the event, larger ones go to blob storage; above the limit (2 MiB) RESOURCE_EXHAUSTED. */
  async offload(event: ForeignEvent): Promise<ForeignEvent> {
    const { key, told } = event;
    const outputs = await this.stored(key, told.value.outputResult, 'outputData', 'event.output_data');
    const inputs =
      told.$case === 'workflow'
        ? undefined
        : await this.stored(key, told.value.inputValue, 'inputData', 'event.input_data');
    if (outputs === undefined && inputs === undefined) return event;
    const value = {
      ...told.value,
      ...(outputs === undefined ? {} : { outputResult: { $case: 'outputUri', value: outputs } }),
      ...(inputs === undefined ? {} : { inputValue: { $case: 'inputUri', value: inputs } }),
    };
    return { ...event, told: { $case: told.$case, value } as RunEvent };
  }

  /** Where they lie now; undefined: they stay where they are. A run that isn't there is turned down by the guards. */
  private async stored(
    key: NameKey,
    held: { $case: string; value: unknown } | undefined,
    byValue: string,
    where: string,
  ): Promise<string | undefined> {
    if (held?.$case !== byValue) return undefined;
    const bytes = Buffer.from(LiteralMap.encode(held.value as LiteralMap).finish());
    const { inlineBytes } = this.config.limits;
    if (bytes.length > inlineBytes)
      throw resourceExhausted(
        `${where}: ${bytes.length} bytes; at most ${inlineBytes} may come by value: write them to blob storage and give their URI`,
      );
    if (bytes.length <= maxInlineBytes) return undefined;
    const row = await this.executions.find(this.database, key);
    if (row?.engine !== 'EXTERNAL') return undefined;
    const name = sha256(bytes).toString('hex').slice(0, 32);
    const uri = `${executionFolder(this.blob, this.config.storagePrefix, key, row.uid)}/events/${name}.pb`;
    await this.blob.put(uri, bytes, { contentType: 'application/x-protobuf' });
    return uri;
  }
}
