import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './chart.js';
import { topics } from './names.js';

const folder = fileURLToPath(new URL('../iam', import.meta.url));
const page = fileURLToPath(new URL('../../docs/run-on-eks.md', import.meta.url));
const python = process.env['ALOFT_TEST_PYTHON'] ?? 'python3';
const variables: Record<string, string> = {
  AWS_REGION: 'eu-west-1',
  ACCOUNT_ID: '123456789012',
  MSK_CLUSTER: 'aloft',
  BUCKET: 'example-aloft',
  NAMESPACE: 'aloft',
  SERVICE_ACCOUNT: 'aloft-admin',
  OIDC_PROVIDER: 'oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF',
};

interface Statement {
  Sid: string;
  Effect: string;
  Action: string[];
  Resource: string[];
}

const policies = (await readdir(folder)).filter((name) => name.endsWith('.json'));

/** As `envsubst` fills it in; every variable must be one that the page names. */
async function policy(name: string): Promise<string> {
  const text = await readFile(join(folder, name), 'utf8');
  return text.replace(/\$\{(\w+)\}/g, (_, variable: string) => {
    expect(Object.keys(variables)).toContain(variable);
    return variables[variable]!;
  });
}

const statements = async (name: string) => (JSON.parse(await policy(name)) as { Statement: Statement[] }).Statement;

/** What a policy allows with an action: the ends of the ARNs. */
async function allowed(name: string, action: string): Promise<string[]> {
  const list = (await statements(name)).filter(({ Action }) => Action.includes(action));
  return list.flatMap(({ Resource }) => Resource.map((arn) => arn.replace(/^arn:aws:(s3:::[^/]+\/?|.*\/)/, ''))).sort();
}

test('S-32: every policy is valid: known actions on resources that they take', async () => {
  const out = await mkdtemp(join(tmpdir(), 'aloft-iam-'));
  const files: string[] = [];
  for (const name of policies.filter((each) => each !== 'trust.json')) {
    files.push(join(out, name));
    await writeFile(files.at(-1)!, await policy(name));
  }
  expect(files).toHaveLength(6);
  const script = fileURLToPath(new URL('iam_findings.py', import.meta.url));
  const check = async () => {
    const { code, stdout, stderr } = await run(python, ['-W', 'ignore', script, ...files]);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as string[];
  };
  expect(await check()).toEqual([]);
  // The check does find mistakes.
  await writeFile(files[0]!, (await policy('admin.json')).replace('kafka-cluster:ReadData', 'kafka-cluster:ReedData'));
  expect(await check()).toEqual([expect.stringContaining('UNKNOWN_ACTION')]);
});

test('S-32: no policy allows everything of a kind, or more than its service does', async () => {
  for (const name of policies.filter((each) => each !== 'trust.json'))
    for (const { Effect, Action, Resource } of await statements(name)) {
      expect(Effect).toBe('Allow');
      for (const action of Action) expect(action).not.toMatch(/\*/);
      // Batch knows no resources for looking.
      if (Action.every((action) => /^batch:(Describe|List)/.test(action))) continue;
      for (const resource of Resource) expect(resource).not.toMatch(/^\*$|:::\*|topic\/[^/]+\/\*\/\*$/);
    }
  const read = 'kafka-cluster:ReadData';
  const write = 'kafka-cluster:WriteData';
  const tasks = topics.tasks('*');
  expect(await allowed('admin.json', read)).toEqual([topics.events]);
  expect(await allowed('admin.json', write)).toEqual([topics.commands, topics.events, 'registry.events']);
  expect(await allowed('propeller.json', read)).toEqual([topics.commands, topics.reports]);
  expect(await allowed('propeller.json', write)).toEqual(
    [topics.commands, topics.events, tasks, topics.reports].sort(),
  );
  expect(await allowed('notifier.json', read)).toEqual([topics.events]);
  expect(await allowed('notifier.json', write)).toEqual([]);
  expect(await allowed('backends.json', read)).toEqual([tasks]);
  expect(await allowed('backends.json', write)).toEqual([topics.reports]);
  for (const action of [read, write, 'kafka-cluster:AlterGroup', 's3:GetObject'])
    expect(await allowed('keda.json', action)).toEqual([]);
  expect(await allowed('notifier.json', 's3:GetObject')).toEqual([]);
  expect(await allowed('propeller.json', 's3:PutObject')).toEqual([
    'metadata/.check/propeller',
    'metadata/propeller/*',
  ]);
  expect(await allowed('backends.json', 's3:PutObject')).not.toContain('uploads/*');
});

test('S-32: whoever may read or write a topic may see it', async () => {
  for (const name of ['admin.json', 'propeller.json', 'notifier.json', 'backends.json']) {
    const seen = await allowed(name, 'kafka-cluster:DescribeTopic');
    for (const action of ['kafka-cluster:ReadData', 'kafka-cluster:WriteData'])
      for (const topic of await allowed(name, action)) expect(seen).toContain(topic);
  }
});

test('S-32: a role is for one service account', async () => {
  const [{ Condition }] = JSON.parse(await policy('trust.json')).Statement;
  const provider = variables['OIDC_PROVIDER'];
  expect(Condition.StringEquals).toEqual({
    [`${provider}:aud`]: 'sts.amazonaws.com',
    [`${provider}:sub`]: 'system:serviceaccount:aloft:aloft-admin',
  });
});

test('S-32: the page names every policy and variable', async () => {
  const text = await readFile(page, 'utf8');
  for (const name of policies) expect(text).toContain(`deploy/iam/${name}`);
  for (const variable of Object.keys(variables)) expect(text).toContain(variable);
});
