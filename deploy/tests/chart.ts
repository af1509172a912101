import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';

export const chart = fileURLToPath(new URL('../helm/aloft', import.meta.url));
export const example = (name: string): string => join(chart, 'examples', `${name}.yaml`);

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  // Whatever Kubernetes has there: each test looks at what it knows.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [field: string]: any;
}

/** What `tools/infra/kube.mjs` starts. */
export interface Kube {
  kubeconfig: string;
  helm: string;
  call(method: string, path: string, body?: unknown, type?: string): Promise<{ status: number; body: KubeObject }>;
  stop(): Promise<void>;
}

export async function startKube(): Promise<Kube> {
  const script = new URL('../../tools/infra/kube.mjs', import.meta.url).href;
  const { start } = (await import(script)) as { start(options: { dir: string }): Promise<Kube> };
  const dir = await mkdtemp(join(tmpdir(), 'aloft-kube-'));
  const kube = await start({ dir });
  const stop = async () => {
    await kube.stop();
    await rm(dir, { recursive: true, force: true });
  };
  return { ...kube, stop };
}

/** A module of Go's proxy, unpacked. */
export async function goModule(module: string): Promise<string> {
  const script = new URL('../../tools/infra/go.mjs', import.meta.url).href;
  return ((await import(script)) as { goModule(module: string): Promise<string> }).goModule(module);
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((resolve) =>
    execFile(
      command,
      args,
      { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0;
        resolve({ code, stdout, stderr: stderr || (error ? error.message : '') });
      },
    ),
  );
}

/** `values`: a file, or values themselves. */
export async function valuesFile(values: string | object): Promise<string> {
  if (typeof values === 'string') return values;
  const file = join(await mkdtemp(join(tmpdir(), 'aloft-values-')), 'values.yaml');
  await writeFile(file, stringify(values));
  return file;
}

export async function template(helm: string, values: string | object, ...args: string[]): Promise<Outcome> {
  const options = ['--namespace', 'aloft', '--kube-version', '1.36.3', '--values', await valuesFile(values)];
  return run(helm, ['template', 'aloft', chart, ...options, ...args]);
}

export async function render(helm: string, values: string | object): Promise<KubeObject[]> {
  const { code, stdout, stderr } = await template(helm, values);
  if (code !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}

/** The pod templates of Deployments and Jobs. */
export const podsOf = (objects: readonly KubeObject[]): { owner: KubeObject; pod: KubeObject }[] =>
  objects
    .filter(({ kind }) => kind === 'Deployment' || kind === 'Job')
    .map((owner) => ({ owner, pod: owner['spec'].template as KubeObject }));

const plurals: Record<string, string> = {
  NetworkPolicy: 'networkpolicies',
  Ingress: 'ingresses',
};

/** Where an object lies in the API. */
export function pathOf({ apiVersion, kind, metadata }: KubeObject, namespace: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = plurals[kind] ?? `${kind.toLowerCase()}s`;
  return `${root}/namespaces/${namespace}/${plural}/${metadata.name}`;
}
