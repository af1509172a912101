import { anonymous, authorize, type Policy } from '@aloft/auth';
import { parseUri, type BlobStore, type SignedUrl } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { alreadyExists, invalidArgument, notFound, toAloftError } from '@aloft/errors';
import { currentCall } from '@aloft/rpc';
import { NodeExecutionClosure } from '@aloft/idl/flyteidl/admin/node_execution';
import { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import {
  ArtifactType,
  type CreateDownloadLinkRequest,
  type CreateDownloadLinkResponse,
  type CreateDownloadLocationRequest,
  type CreateDownloadLocationResponse,
  type CreateUploadLocationRequest,
  type CreateUploadLocationResponse,
  type GetDataResponse,
} from '@aloft/idl/flyteidl/service/dataproxy';
import type { AdminConfig } from '../config.js';
import { endNode, startNode } from '../executions/execution-answers.js';
import type { ExecutionDataRow, ExecutionsRepository } from '../executions/executions.repository.js';
import { inputsOf, outputsOf } from '../node-executions/node-answers.js';
import type { NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import type { ProjectsService } from '../projects/projects.service.js';
import { describeKey, requireExecutionId } from '../registry/identifiers.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import { timestampOf } from '../time.js';
import { parseFlyteUrl, type FlyteUrl } from './flyte-urls.js';
import type { HeldLiterals, LiteralReader } from './literal-reader.js';
import { expirySeconds, sameMd5, uploadPath } from './upload-locations.js';

const md5Metadata = 'flyteContentMD5';

/** Uploads, downloads and `flyte://` URLs (A-120…A-123). */
export class DataProxyService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly nodes: NodeExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
    private readonly literals: LiteralReader,
    private readonly projects: ProjectsService,
    private readonly blob: BlobStore,
    private readonly config: AdminConfig,
    private readonly policy: Policy,
  ) {}

  async createUploadLocation(request: CreateUploadLocationRequest): Promise<CreateUploadLocationResponse> {
    const { path, fixed } = uploadPath(request);
    const expiresInSeconds = expirySeconds(request.expiresIn, this.config.dataProxy.maxExpirySeconds);
    await this.projects.requireActive(request.org, request.project, request.domain, 'request');
    const { contentMd5 } = request;
    const nativeUrl = `s3://${this.blob.bucket}/${this.config.dataProxy.uploadPrefix}/${path}`;
    if (fixed) {
      const existing = await this.blob.head(nativeUrl);
      const known = existing?.metadata[md5Metadata] ?? existing?.metadata[md5Metadata.toLowerCase()] ?? existing?.etag;
      if (existing && !(contentMd5.length > 0 && sameMd5(known, contentMd5)))
        throw alreadyExists(
          `filename: ${nativeUrl} exists already with other content (MD5 ${known}); choose another filename or filename_root`,
        );
    }
    const signed = await this.blob.signPut(nativeUrl, {
      expiresInSeconds,
      ...(contentMd5.length > 0 ? { contentMd5 } : {}),
      ...(request.addContentMd5Metadata && contentMd5.length > 0
        ? { metadata: { [md5Metadata]: contentMd5.toString('base64') } }
        : {}),
    });
    return { signedUrl: signed.url, nativeUrl, expiresAt: timestampOf(signed.expiresAt), headers: signed.headers };
  }

  /** The deck of a node execution; NOT_FOUND if there is none (A-121, K-28). */
  async createDownloadLink(request: CreateDownloadLinkRequest): Promise<CreateDownloadLinkResponse> {
    if (request.artifactType !== ArtifactType.ARTIFACT_TYPE_DECK)
      throw invalidArgument(
        `artifact_type: ${ArtifactType[request.artifactType] ?? request.artifactType} has no link; use ARTIFACT_TYPE_DECK`,
      );
    const node = request.source?.value;
    if (!node || node.nodeId === '') throw invalidArgument('node_execution_id: missing; name the node execution');
    const { row, key } = await this.execution(node.executionId, 'node_execution_id.execution_id');
    const signed = await this.signDeck(row, describeKey(key), node.nodeId, request.expiresIn);
    const urls = { signedUrl: [signed.url], expiresAt: timestampOf(signed.expiresAt) };
    return { ...urls, preSignedUrls: urls };
  }

  /** only what lies within our own prefixes. */
  async createDownloadLocation(request: CreateDownloadLocationRequest): Promise<CreateDownloadLocationResponse> {
    const { nativeUrl } = request;
    if (nativeUrl === '') throw invalidArgument('native_url: missing; give the URI of an object');
    const expiresInSeconds = expirySeconds(request.expiresIn, this.config.dataProxy.maxExpirySeconds);
    await this.requireOurs(nativeUrl);
    const signed = await this.sign(nativeUrl, expiresInSeconds);
    return { signedUrl: signed.url, expiresAt: timestampOf(signed.expiresAt) };
  }

  /** Inputs, outputs, one variable of them, or the deck of what a `flyte://` URL names (K-29). */
  async getData(url: string): Promise<GetDataResponse> {
    const named = parseFlyteUrl(url);
    const id = { org: '', project: named.project, domain: named.domain, name: named.execution };
    await this.allow('data/get', id);
    const { row, key } = await this.execution(id, 'flyte_url');
    if (named.kind === 'deck') {
      const signed = await this.signDeck(row, describeKey(key), named.nodeId, undefined);
      const urls = { signedUrl: [signed.url], expiresAt: timestampOf(signed.expiresAt) };
      return { data: { $case: 'preSignedUrls', value: urls } };
    }
    const held = await this.literalsOf(row, describeKey(key), named);
    const { kind, variable } = named;
    if (variable === undefined) return { data: { $case: 'literalMap', value: await this.literals.all(held) } };
    const literal = await this.literals.one(held, variable, kind === 'inputs' ? 'input' : 'output');
    return { data: { $case: 'literal', value: literal } };
  }

  private async literalsOf(row: ExecutionDataRow, run: string, url: FlyteUrl): Promise<HeldLiterals> {
    const { nodeId, attempt, kind } = url;
    if (attempt !== undefined) {
      const task = await this.tasks.findAttempt(this.database, row.id, nodeId, attempt);
      if (!task) throw notFound(`node ${nodeId} of ${run} has no attempt ${attempt}`);
      const result = TaskExecutionClosure.decode(task.closure).outputResult;
      return kind === 'inputs' ? inputsOf(task) : outputsOf(task, result);
    }
    // A run's own inputs and outputs are those of its first and last node.
    if (nodeId === startNode) return { bytes: row.inputs, uri: row.inputsUri };
    if (nodeId === endNode) return { bytes: row.outputs, uri: row.outputsUri };
    const node = await this.nodes.find(this.database, row.id, nodeId);
    if (!node) throw notFound(`execution ${run} has no node execution ${JSON.stringify(nodeId)}`);
    const result = NodeExecutionClosure.decode(node.closure).outputResult;
    return kind === 'inputs' ? inputsOf(node) : outputsOf(node, result);
  }

  private async signDeck(
    row: ExecutionDataRow,
    run: string,
    nodeId: string,
    expiresIn: CreateDownloadLinkRequest['expiresIn'],
  ): Promise<SignedUrl> {
    const expiresInSeconds = expirySeconds(expiresIn, this.config.dataProxy.maxExpirySeconds);
    const node = await this.nodes.find(this.database, row.id, nodeId);
    if (!node) throw notFound(`execution ${run} has no node execution ${JSON.stringify(nodeId)}`);
    const { deckUri } = NodeExecutionClosure.decode(node.closure);
    if (deckUri === '' || !(await this.blob.head(deckUri))) throw notFound(`node ${nodeId} of ${run} has no deck`);
    await this.allow('blob/get', row);
    return this.sign(deckUri, expiresInSeconds);
  }

  private sign(uri: string, expiresInSeconds: number): Promise<SignedUrl> {
    return this.blob.signGet(uri, { expiresInSeconds });
  }

  /**
   * Objects under the prefixes that admin, the engine and clients write to, of projects that exist and that the caller may read.
   * Raw data (`data/…`) lie under shards that name no project.
   */
  private async requireOurs(uri: string): Promise<void> {
    const { bucket, key } = objectOf(uri);
    const { uploadPrefix } = this.config.dataProxy;
    const prefixes = [uploadPrefix, this.config.storagePrefix, this.config.executionDataPrefix, 'data'];
    const prefix = prefixes.find((candidate) => key.startsWith(`${candidate}/`));
    if (bucket !== this.blob.bucket || prefix === undefined)
      throw invalidArgument(
        `native_url: ${uri} lies outside the platform's data; allowed are ` +
          prefixes.map((candidate) => `s3://${this.blob.bucket}/${candidate}/…`).join(', '),
      );
    const candidates = this.projectsIn(prefix, key.slice(prefix.length + 1));
    const project = await this.firstKnown(candidates);
    if (candidates.length > 0 && !project)
      throw invalidArgument(
        `native_url: ${uri} lies in no project that exists: there is no "${candidates[0]?.project}"`,
      );
    await this.allow('blob/get', { org: '', project: '', ...project, domain: '', name: '' });
  }

  /** What a path below one of our prefixes can mean: `[org/]project/domain/…`, or `project-domain-execution/…` where the engine writes. */
  private projectsIn(prefix: string, path: string): { org: string; project: string }[] {
    const parts = path.split('/');
    const { uploadPrefix } = this.config.dataProxy;
    const [first = '', second = ''] = parts[0] === 'executions' && prefix !== uploadPrefix ? parts.slice(1) : parts;
    if (prefix === uploadPrefix || prefix === this.config.storagePrefix)
      return [
        { org: '', project: first },
        { org: first, project: second },
      ];
    if (prefix !== this.config.executionDataPrefix) return [];
    return this.projects.domains
      .flatMap(({ id }) =>
        first
          .split(`-${id}-`)
          .slice(0, -1)
          .map((_, i, all) => all.slice(0, i + 1).join(`-${id}-`)),
      )
      .concat(first)
      .map((project) => ({ org: '', project }));
  }

  private async firstKnown(candidates: readonly { org: string; project: string }[]) {
    for (const candidate of candidates)
      if (await this.projects.exists(candidate.org, candidate.project)) return candidate;
    return undefined;
  }

  private allow(
    action: string,
    { org, project, domain, name }: { org: string; project: string; domain: string; name: string },
  ) {
    const resource = { org, ...(project ? { project } : {}), ...(domain ? { domain } : {}), ...(name ? { name } : {}) };
    return authorize(this.policy, currentCall()?.principal ?? anonymous, action, resource);
  }

  private async execution(id: Parameters<typeof requireExecutionId>[0], where: string) {
    const key = requireExecutionId(id, where);
    const row = await this.executions.findData(this.database, key);
    if (!row) throw notFound(`${where}: there is no execution ${describeKey(key)}`);
    return { key, row };
  }
}

/** A URI that a caller gave. */
function objectOf(uri: string): { bucket: string; key: string } {
  try {
    const location = parseUri(uri);
    if (location.key.split('/').some((part) => part === '..' || part === '.') || location.key.includes('\0'))
      throw invalidArgument(`${JSON.stringify(uri)} holds ".", ".." or NUL`);
    return location;
  } catch (error) {
    throw invalidArgument(`native_url: ${toAloftError(error).message}`, { cause: error });
  }
}
