import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { closureFile, executionPrefix, packedGraphVersion } from '@aloft/engine';
import { AloftError, failedPrecondition, invalidArgument, toAloftError } from '@aloft/errors';
import { StartExecution } from '@aloft/idl/aloft/v1/bus';
import type { EraseRunRequest, EraseRunResponse, ResultEraseServiceService } from '@aloft/idl/aloft/v1/retention';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { RpcClient } from '@aloft/rpc';
import { historyPart, withHole } from '../runs/history-object.js';
import type { ErasableRun, RunEraseRepository } from './run-erase.repository.js';

export interface RunEraseOptions {
  database: Database;
  blob: BlobStore;
  repository: RunEraseRepository;
  catalog: () => RpcClient<typeof ResultEraseServiceService>;
  maxHistoryBytes: number;
  maxClosureBytes: number;
}

interface Named {
  id: WorkflowExecutionIdentifier;
  uid: string;
}

const ended: readonly Phase[] = [Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT];
const deletesAtOnce = 16;

/** What the engine, and the catalog on its behalf, keep of an ended run: counted, and removed (U-8, decision 0071). */
export class RunEraseService {
  constructor(private readonly options: RunEraseOptions) {}

  /** Every part may have been done before: what is gone is not counted. */
  async erase(request: EraseRunRequest): Promise<EraseRunResponse> {
    const run = requireRun(request);
    const { dryRun } = request;
    const row = await this.options.repository.find(this.options.database, run.uid);
    if (row) requireEnded(run, row);
    // First, so that no other run begins to use what is about to go.
    const results = await this.options.catalog().eraseResults({ execution: run.id, dryRun });
    const folder = await this.folder(run, dryRun);
    const history = await this.history(run, row?.history_uri ?? '', dryRun);
    return {
      objects: BigInt(folder.objects + history.objects),
      bytes: BigInt(folder.bytes + history.bytes),
      places: folder.objects > 0 ? [`${executionPrefix(run.id)}/`] : [],
      cacheEntries: results.artifactIds,
      cacheEntryCount: results.count,
      history: history.uri,
      historyBytes: BigInt(history.bytes),
    };
  }

  /** What nodes and engine wrote for each other: inputs, outputs, decks, logs, closures of dynamic nodes with their packed form. */
  private async folder({ id }: Named, dryRun: boolean): Promise<{ objects: number; bytes: number }> {
    const { blob, maxClosureBytes } = this.options;
    const closure = closureFile('');
    let objects = 0;
    let bytes = 0;
    let batch: string[] = [];
    const remove = async () => {
      await Promise.all(batch.map((uri) => blob.delete(uri)));
      batch = [];
    };
    for await (const { uri, size } of blob.list(`${executionPrefix(id)}/`)) {
      // A history of its own lies here too, and is counted as one.
      if (uri.startsWith(`${executionPrefix(id)}/history/`)) continue;
      objects += 1;
      bytes += size;
      if (dryRun) continue;
      if (uri.endsWith(closure)) {
        const digest = createHash('sha256')
          .update(await blob.get(uri, { maxBytes: maxClosureBytes }))
          .digest('hex');
        await blob.delete(`s3://${blob.bucket}/metadata/propeller/graphs/${digest}.v${packedGraphVersion}`);
      }
      batch.push(uri);
      if (batch.length >= deletesAtOnce) await remove();
    }
    await remove();
    return { objects, bytes };
  }

  private async history(
    run: Named,
    uri: string,
    dryRun: boolean,
  ): Promise<{ uri: string; objects: number; bytes: number }> {
    const { database, repository } = this.options;
    const none = { uri: '', objects: 0, bytes: 0 };
    if (dryRun) return uri === '' ? none : this.measure(uri);
    const start = StartExecution.encode(StartExecution.fromPartial({ id: run.id, uid: run.uid })).finish();
    return database.transaction(async (tx) => {
      if (uri !== '') await repository.lockObject(tx, historyPart(uri).object);
      const found = uri === '' ? none : await this.measure(uri);
      if (uri !== '') await this.removeHistory(uri);
      await repository.bury(tx, run.uid, start);
      return found;
    });
  }

  private async measure(uri: string): Promise<{ uri: string; objects: number; bytes: number }> {
    const { object, bytes } = historyPart(uri);
    const info = await this.options.blob.head(object);
    // A pack stays for the other runs in it.
    return { uri, objects: bytes === undefined && info ? 1 : 0, bytes: info ? (bytes ?? info.size) : 0 };
  }

  /** Alone in its object, that goes; in a pack its bytes become zeros, and a pack of nothing else goes too. */
  private async removeHistory(uri: string): Promise<void> {
    const { blob, maxHistoryBytes } = this.options;
    const { object, isPacked } = historyPart(uri);
    if (!isPacked) return blob.delete(object);
    try {
      const rest = withHole(uri, await blob.get(object, { maxBytes: maxHistoryBytes }));
      if (rest.some((byte) => byte !== 0)) await blob.put(object, rest);
      else await blob.delete(object);
    } catch (thrown) {
      if (toAloftError(thrown).code !== 'NOT_FOUND') throw thrown;
    }
  }
}

function requireRun({ id, uid }: EraseRunRequest): Named {
  if (!id || id.project === '' || id.domain === '' || id.name === '')
    throw invalidArgument('id: it must name an execution (project, domain, name)');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uid))
    throw invalidArgument(`uid: "${uid}" is not the immutable id of a run, a UUID`);
  return { id, uid };
}

function requireEnded({ id, uid }: Named, row: ErasableRun): void {
  const { org, project, domain, name } = id;
  if (row.org !== org || row.project !== project || row.domain !== domain || row.name !== name)
    throw failedPrecondition(`run ${uid} is not ${project}/${domain}/${name}`);
  if (!ended.includes(row.phase as Phase))
    throw failedPrecondition(`run ${uid} (${project}/${domain}/${name}) has not ended; terminate it first`);
  if (row.history_uri === null)
    throw new AloftError('UNAVAILABLE', `the history of run ${uid} is being written; try again in a moment`);
}
