import { createHash } from 'node:crypto';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AloftError } from '@aloft/errors';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { ArtifactType, CreateUploadLocationRequest } from '@aloft/idl/flyteidl/service/dataproxy';
import type { StartExecution } from '@aloft/idl/aloft/v1/bus';
import type { WatchExecutionResponse } from '@aloft/idl/aloft/v1/watch';
import { literalOf } from '@aloft/literals';
import { domain, idOf, literals, project, register, x } from './testing/entities.js';
import { node, task, workflow } from './testing/events.js';
import { startPlatform, type Platform } from './testing/platform.js';

let platform: Platform;
let plan: Identifier;
beforeAll(async () => {
  platform = await startPlatform({ config: { watch: { queueLength: 20 }, limits: { dataBytes: 100_000 } } });
  plan = await register(platform, 'out');
});
afterAll(() => platform?.stop());

async function create(name: string): Promise<StartExecution> {
  await platform.admin.createExecution(
    ExecutionCreateRequest.fromPartial({ project, domain, name, inputs: x(1), spec: { launchPlan: plan } }),
  );
  return platform.commands.start(name);
}
const refused = async (call: Promise<unknown>, code: string, ...parts: string[]) => {
  const error = await call.then(
    () => Promise.reject(new Error('the call was accepted')),
    (thrown: AloftError) => thrown,
  );
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  for (const part of parts) expect(error.message).toContain(part);
};
const taskId = idOf(ResourceType.TASK, 'out');

describe('data proxy', () => {
  const md5 = (text: string) => createHash('md5').update(text).digest();
  const upload = (partial: object) =>
    platform.data.createUploadLocation(CreateUploadLocationRequest.fromPartial({ project, domain, ...partial }));

  test('K-27: upload locations', async () => {
    const location = await upload({ contentMd5: md5('one'), filename: 'code.tar.gz' });
    expect(location.nativeUrl).toMatch(/^s3:\/\/aloft\/uploads\/flytesnacks\/development\/[A-Z2-7]+=*\/code\.tar\.gz$/);
    expect(location.signedUrl).toContain('code.tar.gz');
    expect(location.headers['Content-MD5'] ?? location.headers['content-md5']).toBe(md5('one').toString('base64'));
    expect(location.expiresAt?.seconds).toBeGreaterThan(0n);
    await refused(upload({ project: '', contentMd5: md5('one') }), 'INVALID_ARGUMENT', 'project');
    await refused(upload({ project: 'nope', contentMd5: md5('one') }), 'INVALID_ARGUMENT', 'nope');
    await refused(upload({}), 'INVALID_ARGUMENT', 'content_md5');
    await refused(upload({ contentMd5: md5('one'), expiresIn: { seconds: 7200n } }), 'INVALID_ARGUMENT', 'expires_in');
    const fixed = { filenameRoot: 'root', filename: 'f' };
    const { nativeUrl } = await upload({ ...fixed, contentMd5: md5('one') });
    await platform.blob.put(nativeUrl, Buffer.from('one'));
    await refused(upload({ ...fixed, contentMd5: md5('two') }), 'ALREADY_EXISTS', 'other content');
    expect((await upload({ ...fixed, contentMd5: md5('one') })).nativeUrl).toBe(nativeUrl);
  });

  test('Q-9: downloads within our prefixes only', async () => {
    const locate = (nativeUrl: string) => platform.data.createDownloadLocation({ nativeUrl, expiresIn: undefined });
    const ours = 's3://aloft/metadata/propeller/flytesnacks-development-run/n0/data/0/outputs.pb';
    expect((await locate(ours)).signedUrl).toContain('outputs.pb');
    expect((await locate('s3://aloft/uploads/flytesnacks/development/x/y')).signedUrl).toContain('y');
    await refused(locate('s3://aloft/metadata/propeller/nobody-development-run/x'), 'INVALID_ARGUMENT', 'no project');
    await refused(locate('s3://aloft/uploads/nobody/development/x/y'), 'INVALID_ARGUMENT', 'no project');
    await refused(locate('s3://aloft/secrets/x'), 'INVALID_ARGUMENT', 'outside');
    await refused(locate('s3://other/metadata/propeller/x'), 'INVALID_ARGUMENT');
    await refused(locate('/etc/passwd'), 'INVALID_ARGUMENT');
  });

  test('K-28, K-29: decks and flyte URLs', async () => {
    const start = await create('urls');
    const deckUri = 's3://aloft/metadata/propeller/urls/deck.html';
    const outputs = literals({ o0: literalOf.integer(2n) });
    await platform.emit(
      start,
      workflow(Phase.RUNNING, 1),
      node(start, 'n0', NodePhase.RUNNING, 1, { inputValue: { $case: 'inputData', value: x(1) } }),
      task(start, taskId, 'n0', 0, TaskPhase.SUCCEEDED, 2, { outputResult: { $case: 'outputData', value: outputs } }),
    );
    const source = { $case: 'nodeExecutionId' as const, value: { nodeId: 'n0', executionId: start.id } };
    const link = () =>
      platform.data.createDownloadLink({ artifactType: ArtifactType.ARTIFACT_TYPE_DECK, expiresIn: undefined, source });
    await refused(link(), 'NOT_FOUND', 'no deck');
    await platform.emit(start, node(start, 'n0', NodePhase.SUCCEEDED, 2, { deckUri }));
    await refused(link(), 'NOT_FOUND', 'no deck');
    await platform.blob.put(deckUri, Buffer.from('<h1>deck</h1>'));
    expect((await link()).preSignedUrls?.signedUrl[0]).toContain('deck.html');
    const page = await fetch(`${platform.http}/api/v1/decks/${project}/${domain}/urls/n0`);
    expect([page.status, await page.text()]).toEqual([200, '<h1>deck</h1>']);
    expect(page.headers.get('content-security-policy')).toContain('sandbox');

    const get = (path: string) => platform.data.getData({ flyteUrl: `flyte://v1/${project}/${domain}/${path}` });
    expect((await get('urls/n0/i')).data).toMatchObject({ $case: 'literalMap', value: x(1) });
    expect((await get('urls/n0/0/o')).data).toMatchObject({ $case: 'literalMap', value: outputs });
    expect((await get('urls/n0/0/o/o0')).data).toMatchObject({ $case: 'literal', value: literalOf.integer(2n) });
    expect((await get('urls/n0/d')).data?.$case).toBe('preSignedUrls');
    await refused(get('urls/n0/0/o/o9'), 'INVALID_ARGUMENT', 'known are o0');
    await refused(get('urls/n0/0/d'), 'INVALID_ARGUMENT', 'attempt');
    await refused(platform.data.getData({ flyteUrl: 'http://x' }), 'INVALID_ARGUMENT');
    await refused(get('nope/n0/i'), 'NOT_FOUND');
  });
});

describe('Q-20: large outputs', () => {
  test('are looked through: one variable is answered, what is too large is named', async () => {
    const start = await create('large');
    const uri = 's3://aloft/metadata/propeller/large/outputs.pb';
    const values = {
      model: literalOf.string('m'.repeat(150_000)),
      score: literalOf.float(0.5),
      name: literalOf.string('n'.repeat(90_000)),
    };
    await platform.blob.put(uri, LiteralMap.encode(literals(values)).finish());
    const outputs = { outputResult: { $case: 'outputUri' as const, value: uri } };
    await platform.emit(start, workflow(Phase.RUNNING, 1), node(start, 'n0', NodePhase.SUCCEEDED, 2, outputs));
    const get = (path: string) =>
      platform.data.getData({ flyteUrl: `flyte://v1/${project}/${domain}/large/n0/o${path}` });
    expect((await get('/score')).data).toMatchObject({ $case: 'literal', value: values.score });
    expect((await get('/name')).data).toMatchObject({ $case: 'literal', value: values.name });
    await refused(
      get(''),
      'RESOURCE_EXHAUSTED',
      uri,
      'at most 100000',
      '3 variables: "model" (1500',
      '"name" (900',
      'dataBytes',
    );
    await refused(get('/model'), 'RESOURCE_EXHAUSTED', 'output "model" has 1500', 'at most 100000', uri);
    await refused(get('/other'), 'INVALID_ARGUMENT', 'known are model, name, score');
    await platform.blob.put(uri, Buffer.from('no literals'));
    await refused(get('/score'), 'DATA_LOSS', 'no encoded message');
    await platform.blob.delete(uri);
    await refused(get('/score'), 'NOT_FOUND', uri);
    await refused(get(''), 'NOT_FOUND', uri);
  });
});

describe('watch', () => {
  const watch = (start: StartExecution, rest: object = {}) =>
    platform.watch.watchExecution({
      id: start.id,
      executionOnly: false,
      afterSequence: 0n,
      untilStored: false,
      ...rest,
    });
  const take = async (stream: AsyncIterator<WatchExecutionResponse>) =>
    (await stream.next()).value as WatchExecutionResponse;

  test('a snapshot, then every event once and in order, until the run is over', async () => {
    const start = await create('watched');
    await platform.publish(start, workflow(Phase.QUEUED, 1), workflow(Phase.RUNNING, 2));
    const stream = watch(start)[Symbol.asyncIterator]();
    const first = await take(stream);
    if (first.update?.$case !== 'snapshot') throw new Error('the first must be a snapshot');
    const events = Array.from({ length: 30 }, (_, i) => node(start, `n${i}`, NodePhase.RUNNING, 3));
    for (const event of events) await platform.publish(start, event);
    await platform.publish(start, workflow(Phase.SUCCEEDED, 4));
    // However the snapshot and the stream met: what follows is gapless, also over snapshots in between (the queue is short).
    let last = first.update.value.sequence;
    const seen = new Set(first.update.value.nodes.map(({ id }) => id?.nodeId));
    for (let next = await stream.next(); !next.done; next = await stream.next()) {
      const { update } = next.value;
      if (update?.$case === 'snapshot') {
        last = update.value.sequence;
        for (const { id } of update.value.nodes) seen.add(id?.nodeId);
      }
      if (update?.$case === 'event') {
        expect(update.value.sequence).toBe(last + 1n);
        last = update.value.sequence;
        if (update.value.event?.$case === 'node') seen.add(update.value.event.value.id?.nodeId);
      }
    }
    expect(last).toBe(33n);
    expect(seen.size).toBe(30);
  });

  test('asked to last until it is stored, it ends when calls answer with the end too', async () => {
    const start = await create('awaited');
    await platform.emit(start, workflow(Phase.RUNNING, 1));
    const stream = watch(start, { untilStored: true })[Symbol.asyncIterator]();
    await take(stream);
    await platform.publish(start, node(start, 'n0', NodePhase.RUNNING, 2), workflow(Phase.SUCCEEDED, 3));
    for (let next = await stream.next(); !next.done; next = await stream.next());
    const { closure } = await platform.admin.getExecution({ id: start.id });
    expect(closure?.phase).toBe(Phase.SUCCEEDED);
  });

  test('a run that is over: its snapshot, and the end; an unknown one: NOT_FOUND', async () => {
    const start = await create('over');
    await platform.emit(
      start,
      workflow(Phase.RUNNING, 1),
      node(start, 'n0', NodePhase.SUCCEEDED, 1),
      workflow(Phase.SUCCEEDED, 2),
    );
    const responses = [];
    for await (const response of watch(start)) responses.push(response);
    expect(responses).toHaveLength(1);
    expect(responses[0]?.update?.value).toMatchObject({ sequence: 3n, nodes: [{ id: { nodeId: 'n0' } }] });
    await refused(
      take(watch({ ...start, id: { project, domain, name: 'nope', org: '' } })[Symbol.asyncIterator]()),
      'NOT_FOUND',
    );
  });

  test('goes on after a sequence that the client has', async () => {
    const start = await create('resumed');
    await platform.emit(start, workflow(Phase.QUEUED, 1), workflow(Phase.RUNNING, 2));
    const stream = watch(start, { afterSequence: 1n, executionOnly: true })[Symbol.asyncIterator]();
    expect((await take(stream)).update).toMatchObject({ $case: 'event', value: { sequence: 2n } });
    await platform.publish(start, node(start, 'n0', NodePhase.RUNNING, 3), workflow(Phase.SUCCEEDED, 3));
    expect((await take(stream)).update).toMatchObject({ $case: 'event', value: { sequence: 4n } });
    expect((await stream.next()).done).toBe(true);
  });

  test('phases of all runs of a project; also as server-sent events', async () => {
    const stream = platform.watch.watchProject({ project, domain, org: '' })[Symbol.asyncIterator]();
    const next = stream.next();
    const start = await create('project-wide');
    const sse = await fetch(`${platform.http}/api/v1/watch/executions/${project}/${domain}/project-wide`, {
      headers: { accept: 'text/event-stream' },
    });
    const reader = sse.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader.read()).value ?? '';
    await platform.publish(start, workflow(Phase.RUNNING, 1));
    expect((await next).value).toMatchObject({ id: { name: 'project-wide' }, event: { sequence: 1n } });
    await stream.return?.(undefined);
    await platform.publish(start, workflow(Phase.SUCCEEDED, 2));
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    expect(text).toContain('snapshot');
    expect(text).toContain('"SUCCEEDED"');
  });
});

describe('logs', () => {
  const logUri = (run: string, rest = '0') =>
    `s3://aloft/metadata/propeller/${project}-${domain}-${run}/n0/data/${rest}/output.log`;

  test('what there is; the last lines; over HTTP', async () => {
    const start = await create('logged');
    const request = {
      node: { nodeId: 'n0', executionId: start.id },
      retryAttempt: 0,
      index: undefined,
      follow: false,
      tailLines: 0,
    };
    const read = async (changes: object = {}) => {
      let text = '';
      for await (const { data } of platform.logs.streamLogs({ ...request, ...changes })) text += data.toString();
      return text;
    };
    await refused(read(), 'NOT_FOUND', 'attempt 0 of node n0');
    await platform.blob.put(logUri('logged'), Buffer.from('one\ntwo\nthree\n'));
    await platform.blob.put(logUri('logged', '0/3/1'), Buffer.from('item'));
    expect(await read()).toBe('one\ntwo\nthree\n');
    expect(await read({ tailLines: 2 })).toBe('two\nthree\n');
    expect(await read({ index: 3 })).toBe('item');
    const url = `${platform.http}/api/v1/logs/${project}/${domain}/logged/n0/0`;
    const answer = await fetch(`${url}?tail=1`);
    expect([answer.headers.get('content-type'), await answer.text()]).toEqual(['text/plain; charset=utf-8', 'three\n']);
    expect(await (await fetch(`${url}/3`)).text()).toBe('item');
    expect((await fetch(url.replace('/n0/0', '/n0/9'))).status).toBe(404);
    expect((await fetch(url.replace('/n0/0', '/n0/x'))).status).toBe(400);
  });

  test('follow: what comes, until the attempt has ended', async () => {
    const start = await create('followed');
    await platform.emit(start, workflow(Phase.RUNNING, 1), task(start, taskId, 'n0', 0, TaskPhase.RUNNING, 1));
    const path = platform.blob.localPath(logUri('followed')) as string;
    const node = { nodeId: 'n0', executionId: start.id };
    const stream = platform.logs.streamLogs({ node, retryAttempt: 0, index: undefined, follow: true, tailLines: 0 });
    const iterator = stream[Symbol.asyncIterator]();
    const first = iterator.next();
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'begins\n');
    expect((await first).value?.data.toString()).toBe('begins\n');
    const second = iterator.next();
    await appendFile(path, 'goes on\n');
    expect((await second).value?.data.toString()).toBe('goes on\n');
    await appendFile(path, 'ends\n');
    await platform.publish(start, task(start, taskId, 'n0', 0, TaskPhase.SUCCEEDED, 2));
    let rest = '';
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) rest += next.value.data.toString();
    expect(rest).toBe('ends\n');
  });
});

test('the page of a run is where flytekit says it is', async () => {
  const page = await fetch(`${platform.http}/console/projects/${project}/domains/${domain}/executions/any`);
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  const html = await page.text();
  for (const [, asset] of html.matchAll(/(?:src|href)="(\/console\/assets\/[^"]+)"/g))
    expect((await fetch(`${platform.http}${asset}`)).status).toBe(200);
  expect((await fetch(`${platform.http}/console/assets/..%2findex.html`)).status).toBe(404);
});
