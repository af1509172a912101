import { anonymous, type Policy } from '@aloft/auth';
import { invalidArgument, notFound } from '@aloft/errors';
import { currentCall } from '@aloft/rpc';
import {
  Project_ProjectState,
  type Domain,
  type Project,
  type ProjectListRequest,
  type Projects,
} from '@aloft/idl/flyteidl/admin/project';
import type { AdminConfig } from '../config.js';
import type { ExecutionEngineName, ProjectRow } from '../registry/entities.js';
import { inactiveProjectDetail } from '../registry/error-details.js';
import { requireText } from '../registry/identifiers.js';
import { requireLabels } from '../registry/labels.js';
import { LoadCache } from '../registry/load-cache.js';
import type { Registry } from '../registry/registry.js';
import type { ProjectsRepository } from './projects.repository.js';

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const maxNameLength = 64;
const maxDescriptionLength = 300;

interface KnownProject {
  active: boolean;
  labels: Readonly<Record<string, string>>;
  engine: ExecutionEngineName | null;
}

/** Projects and domains (A-80…A-83). */
export class ProjectsService {
  private readonly known: LoadCache<KnownProject>;

  constructor(
    private readonly registry: Registry,
    private readonly projects: ProjectsRepository,
    private readonly config: AdminConfig,
    private readonly policy: Policy,
  ) {
    this.known = new LoadCache({ max: 10_000, ttlMs: config.caches.settingsTtlMs });
  }

  get domains(): Domain[] {
    return this.config.domains;
  }

  async register(project: Project | undefined): Promise<void> {
    const valid = this.validate(project);
    await this.projects.insert(this.registry.read, {
      org: valid.org,
      identifier: valid.id,
      name: valid.name,
      description: valid.description,
      labels: valid.labels?.values ?? {},
      state: valid.state,
    });
  }

  /** Writes only what is given; the state always. */
  async update(project: Project): Promise<void> {
    const current = await this.find(project.org, project.id);
    this.validate({ ...project, name: project.name || current.name });
    await this.projects.update(this.registry.read, {
      org: project.org,
      identifier: project.id,
      state: project.state,
      ...(project.name === '' ? {} : { name: project.name }),
      ...(project.description === '' ? {} : { description: project.description }),
      ...(project.labels && Object.keys(project.labels.values).length > 0 ? { labels: project.labels.values } : {}),
    });
    this.known.delete(cacheKey(project.org, project.id));
  }

  async get(org: string, id: string): Promise<Project> {
    return this.toProject(await this.find(org, id));
  }

  async list(request: ProjectListRequest): Promise<Projects> {
    const { rows, token } = await this.projects.list(this.registry.read, request.org, request);
    const principal = currentCall()?.principal ?? anonymous;
    const visible = await Promise.all(
      rows.map((row) => this.policy.allows(principal, 'project/list', { org: row.org, project: row.identifier })),
    );
    return { projects: rows.filter((_row, i) => visible[i]).map((row) => this.toProject(row)), token };
  }

  /** Labels of a project, for runs in it. */
  async labels(org: string, id: string): Promise<Readonly<Record<string, string>>> {
    return (await this.lookUp(org, id))?.labels ?? {};
  }

  /** Who runs new executions in it. */
  async engine(org: string, id: string): Promise<ExecutionEngineName> {
    return this.engineOf((await this.lookUp(org, id))?.engine ?? null);
  }

  /** What a project's setting amounts to. */
  engineOf(setting: ExecutionEngineName | null): ExecutionEngineName {
    return setting ?? (this.config.executions.engine === 'external' ? 'EXTERNAL' : 'ALOFT');
  }

  /** Its engine was changed. */
  forget(org: string, id: string): void {
    this.known.delete(cacheKey(org, id));
  }

  /** creates and launches need a known domain and a project that is active; INVALID_ARGUMENT otherwise. */
  async requireActive(org: string, id: string, domain: string, where = 'id'): Promise<void> {
    if (id === '') throw invalidArgument(`${where}.project: missing; it must not be empty`);
    this.requireDomain(domain, `${where}.domain`);
    const project = await this.lookUp(org, id);
    if (!project)
      throw invalidArgument(`${where}.project: there is no project "${id}"; register it, or use one of ListProjects`);
    if (!project.active)
      throw invalidArgument(`${where}.project: project "${id}" is archived; activate it with UpdateProject first`, {
        details: [inactiveProjectDetail(id, org)],
      });
  }

  async exists(org: string, id: string): Promise<boolean> {
    return (await this.lookUp(org, id)) !== undefined;
  }

  /** The project exists, in whatever state. */
  async requireKnown(org: string, id: string, where: string): Promise<void> {
    if (!(await this.projects.find(this.registry.read, org, id)))
      throw invalidArgument(`${where}: there is no project "${id}"; register it, or use one of ListProjects`);
  }

  requireDomain(domain: string, where: string): void {
    if (this.config.domains.some(({ id }) => id === domain)) return;
    const known = this.config.domains.map(({ id }) => id).join(', ');
    throw invalidArgument(`${where}: there is no domain ${JSON.stringify(domain)}; known are ${known}`);
  }

  /** Cached for a moment: every create and launch asks. */
  private lookUp(org: string, id: string): Promise<KnownProject | undefined> {
    return this.known.get(cacheKey(org, id), async () => {
      const row = await this.projects.find(this.registry.read, org, id);
      if (!row) return undefined;
      const active = row.state === Project_ProjectState.ACTIVE || row.state === Project_ProjectState.SYSTEM_GENERATED;
      return { active, labels: row.labels, engine: row.engine };
    });
  }

  private async find(org: string, id: string): Promise<ProjectRow> {
    const row = await this.projects.find(this.registry.read, org, id);
    if (!row) throw notFound(`there is no project "${id}"`);
    return row;
  }

  private validate(project: Project | undefined): Project {
    if (!project) throw invalidArgument('project: missing');
    if (!dnsLabel.test(project.id))
      throw invalidArgument(
        `project.id: ${JSON.stringify(project.id)} must be a DNS-1123 label: lower-case letters, digits and "-", at most 63`,
      );
    if (project.name === '') throw invalidArgument('project.name: missing; it must not be empty');
    requireText(project.name, 'project.name', maxNameLength);
    requireText(project.description, 'project.description', maxDescriptionLength);
    if (project.org !== '' && !dnsLabel.test(project.org))
      throw invalidArgument(
        `project.org: ${JSON.stringify(project.org)} must be a DNS-1123 label as well, of at most 63 characters, or empty`,
      );
    if (project.domains.length > 0)
      throw invalidArgument("project.domains: must be empty; domains are the server's and the same for every project");
    if (Project_ProjectState[project.state] === undefined)
      throw invalidArgument(`project.state: ${project.state} is unknown; use ACTIVE or ARCHIVED`);
    requireLabels(project.labels?.values, 'project.labels', this.config.limits.labels);
    return project;
  }

  private toProject(row: ProjectRow): Project {
    return {
      id: row.identifier,
      name: row.name,
      description: row.description,
      labels: { values: row.labels },
      state: row.state,
      org: row.org,
      domains: this.config.domains,
    };
  }
}

function cacheKey(org: string, id: string): string {
  return `${org}\n${id}`;
}
