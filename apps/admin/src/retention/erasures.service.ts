import type { Database, Queryable } from '@aloft/database';
import { failedPrecondition, invalidArgument, notFound } from '@aloft/errors';
import {
  Erasure_State,
  type EraseExecutionRequest,
  type EraseExecutionResponse,
  type Erasure,
  type ListErasuresRequest,
  type ListErasuresResponse,
} from '@aloft/idl/aloft/v1/retention';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { AdminConfig } from '../config.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { isTerminalExecution } from '../projection/phases.js';
import { describeKey, requireExecutionId, type NameKey } from '../registry/identifiers.js';
import { timestampOf } from '../time.js';
import type { ErasureWorker } from './erasure-worker.js';
import { erasureOf, type ErasuresRepository, type FamilyRow } from './erasures.repository.js';
import { sameFolder } from './same-folder.js';
import type { RetentionRepository } from './retention.repository.js';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const longestReason = 1_000;
const largestPage = 1_000;

/** Asking for erasures, and their receipts (U-8). */
export class ErasuresService {
  constructor(
    private readonly database: Database,
    private readonly erasures: ErasuresRepository,
    private readonly retention: RetentionRepository,
    private readonly executions: ExecutionsRepository,
    private readonly worker: ErasureWorker,
    private readonly config: AdminConfig,
    private readonly wake: () => void,
  ) {}

  async erase(request: EraseExecutionRequest, principal: string): Promise<EraseExecutionResponse> {
    const key = requireExecutionId(request.id);
    if (request.uid !== '' && !uuid.test(request.uid))
      throw invalidArgument(`uid: "${request.uid}" is not the immutable id of a run, a UUID`);
    if (request.reason.length > longestReason)
      throw invalidArgument(`reason: ${request.reason.length} characters; at most ${longestReason} are allowed`);
    const before = await this.askedBefore(key, request.uid);
    if (before) {
      const open = before.filter(({ state }) => state !== Erasure_State.DONE);
      if (open.length > 0 && !request.dryRun) await this.goOn(open);
      return { erasures: await this.family(before[0]!.id), repeatedRequest: true };
    }
    if (request.dryRun) return { erasures: await this.preview(key, request.reason, principal), repeatedRequest: false };
    const id = await this.request(key, request.reason, principal);
    const erasures = await this.family(id);
    await this.goOn(erasures);
    return { erasures: await this.family(id), repeatedRequest: false };
  }

  /** Waits a while for their end. */
  private async goOn(erasures: readonly Erasure[]): Promise<void> {
    const ids = erasures.map(({ id }) => id);
    await this.erasures.hasten(this.database, ids);
    const settled = ids.map((id) => this.worker.settled(id, this.config.retention.eraseWaitMs));
    this.wake();
    await Promise.all(settled);
  }

  /** Writes down that these runs are to go, if nothing speaks against it; resolves to the erasure of the first. */
  async request(key: NameKey, reason: string, principal: string): Promise<string> {
    return this.database.transaction(async (tx) => {
      await this.retention.lockHolds(tx);
      // Children can't be added: the run has ended.
      const family = await this.erasures.family(tx, key);
      const obstacle =
        family.length === 0 ? `there is no execution ${describeKey(key)}` : await this.obstacle(tx, family);
      if (family.length === 0) throw notFound(obstacle!);
      if (obstacle) throw failedPrecondition(obstacle);
      await this.erasures.insert(tx, family, reason, principal);
      return (await this.erasures.latest(tx, key, family[0]!.uid))!.id;
    });
  }

  async get(id: string): Promise<Erasure> {
    const row = uuid.test(id) ? await this.erasures.find(this.database, id) : undefined;
    if (!row) throw notFound(`there is no erasure "${id}"`);
    return erasureOf(row);
  }

  async list(request: ListErasuresRequest): Promise<ListErasuresResponse> {
    const { org, project, domain, name, token } = request;
    if (request.limit === 0 || request.limit > largestPage)
      throw invalidArgument(`limit: ${request.limit} must be 1 to ${largestPage}`);
    if (token !== '' && !/^\d{1,18}$/.test(token))
      throw invalidArgument(`token: "${token}" is not one that a list answered`);
    const before = token === '' ? undefined : BigInt(token);
    const rows = await this.erasures.list(this.database, { org, project, domain, name }, before, request.limit);
    return {
      erasures: rows.map(erasureOf),
      token: rows.length < request.limit ? '' : String(rows.at(-1)!.number),
    };
  }

  /** The receipt of the run that has, or had, this name. */
  private async askedBefore(key: NameKey, uid: string): Promise<Erasure[] | undefined> {
    const current = await this.executions.find(this.database, key);
    if (current && uid !== '' && current.uid !== uid) {
      const earlier = await this.erasures.latest(this.database, key, uid);
      if (!earlier)
        throw notFound(`execution ${describeKey(key)} is run ${current.uid}, and there was no run ${uid} of that name`);
      return this.family(earlier.id);
    }
    const known = await this.erasures.latest(this.database, key, current?.uid ?? uid);
    if (known) return this.family(known.id);
    if (!current) throw notFound(`there is no execution ${describeKey(key)}`);
    return undefined;
  }

  private async family(id: string): Promise<Erasure[]> {
    return (await this.erasures.withChildren(this.database, id)).map(erasureOf);
  }

  private async preview(key: NameKey, reason: string, principal: string): Promise<Erasure[]> {
    const family = await this.erasures.family(this.database, key);
    const problem = (await this.obstacle(this.database, family)) ?? '';
    const found: Erasure[] = [];
    for (const { org, project, domain, name, uid, phase } of family) {
      const row = await this.executions.findData(this.database, { org, project, domain, name });
      const hasEnded = isTerminalExecution(Phase[phase as keyof typeof Phase]);
      found.push({
        id: '',
        execution: { org, project, domain, name },
        executionUid: uid,
        state: Erasure_State.PREVIEW,
        reason,
        principal,
        requestedAt: timestampOf(new Date()),
        doneAt: undefined,
        removed: row && hasEnded ? await this.worker.inventory(row) : undefined,
        problem,
        parentId: '',
      });
    }
    return found;
  }

  /** What speaks against erasing these, in words. */
  private async obstacle(db: Queryable, family: readonly FamilyRow[]): Promise<string | undefined> {
    const running = family.find(({ phase }) => !isTerminalExecution(Phase[phase as keyof typeof Phase]));
    if (running)
      return `execution ${describeKey(running)} is ${running.phase}: only what has ended can be erased; terminate it first`;
    const held = await this.retention.heldBy(
      db,
      family.map(({ id }) => id),
    );
    if (held) return `execution ${held.name} is under legal hold ${held.hold}: it can be erased when that is removed`;
    const domains = this.config.domains.map(({ id }) => id);
    for (const run of family) {
      const others = await this.executions.findAll(db, sameFolder(run, domains));
      const other = others.find(({ uid }) => !family.some((member) => member.uid === uid));
      if (other)
        return `executions ${describeKey(run)} and ${describeKey(other)} have one folder in blob storage, by Flyte's layout: erase the other one first, or keep both`;
    }
    return undefined;
  }
}
