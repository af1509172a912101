// AWS Batch (and SQS, CloudWatch Logs, IAM) on this machine: moto, whose jobs run as processes (moto/server.py).
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pythonEnvironment } from '../python.mjs';
import { freePort } from './ports.mjs';

const readyMs = 60_000;

/**
 * Starts a server on 127.0.0.1; resolves when it answers. `dir`: for its log. Everything it knows is in its memory.
 *
 * Returns `{ endpoint, region, pid, log, stop() }`.
 */
export async function start({ dir }) {
  const python = await pythonEnvironment(join(import.meta.dirname, 'moto', 'requirements.txt'));
  const port = await freePort();
  const log = join(dir, 'moto.log');
  const output = openSync(log, 'a');
  const child = spawn(python, [join(import.meta.dirname, 'moto', 'server.py'), '-H', '127.0.0.1', '-p', `${port}`], {
    stdio: ['ignore', output, output],
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_DEFAULT_REGION: 'us-east-1',
      // A state lasts no longer than it must: it is looked at every half a second.
      MOTO_PORT: `${port}`,
    },
  });
  closeSync(output);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let gone = false;
  child.once('error', () => (gone = true));
  void exited.then(() => (gone = true));
  const endpoint = `http://127.0.0.1:${port}`;
  for (const until = Date.now() + readyMs; ; await delay(50)) {
    if (gone) throw new Error(`moto ended while it was starting; its log:\n${readFileSync(log, 'utf8')}`);
    const answered = await fetch(`${endpoint}/moto-api/data.json`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (answered) break;
    if (Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`moto did not answer within ${readyMs / 1000} s; see ${log}`);
    }
  }
  return {
    endpoint,
    region: 'us-east-1',
    pid: child.pid,
    log,
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Makes job queues of these names, over one compute environment. A server that was reset needs them again. */
export async function makeQueues(endpoint, names) {
  const role = await call(endpoint, 'iam', {
    body: new URLSearchParams({
      Action: 'CreateRole',
      Version: '2010-05-08',
      RoleName: 'batch',
      AssumeRolePolicyDocument: '{"Version":"2012-10-17","Statement":[]}',
    }),
  });
  const serviceRole = /<Arn>([^<]+)<\/Arn>/.exec(role)?.[1];
  const batch = async (name, body) =>
    JSON.parse(await call(`${endpoint}/v1/${name}`, 'batch', { body: JSON.stringify(body) }));
  const { computeEnvironmentArn: computeEnvironment } = await batch('createcomputeenvironment', {
    computeEnvironmentName: 'machine',
    type: 'UNMANAGED',
    serviceRole,
  });
  const computeEnvironmentOrder = [{ order: 1, computeEnvironment }];
  for (const jobQueueName of names)
    await batch('createjobqueue', { jobQueueName, state: 'ENABLED', priority: 1, computeEnvironmentOrder });
}

/** Makes an SQS queue of this name, into which EventBridge puts what Batch tells of its jobs; answers with its URL. */
export async function makeEventsQueue(endpoint, name) {
  const send = async (service, target, body) =>
    JSON.parse((await call(endpoint, service, { body: JSON.stringify(body), target })) || '{}');
  const { QueueUrl } = await send('sqs', 'AmazonSQS.CreateQueue', { QueueName: name });
  const { Attributes } = await send('sqs', 'AmazonSQS.GetQueueAttributes', { QueueUrl, AttributeNames: ['QueueArn'] });
  const EventPattern = JSON.stringify({ source: ['aws.batch'], 'detail-type': ['Batch Job State Change'] });
  await send('events', 'AWSEvents.PutRule', { Name: name, EventPattern, State: 'ENABLED' });
  await send('events', 'AWSEvents.PutTargets', { Rule: name, Targets: [{ Id: 'queue', Arn: Attributes.QueueArn }] });
  return QueueUrl;
}

/** moto reads region and service from a signature, and checks nothing of it. `target`: of services that speak JSON. */
async function call(url, service, { body, target }) {
  const authorization = `AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=test`;
  const type = target ? { 'x-amz-target': target, 'content-type': 'application/x-amz-json-1.0' } : {};
  const response = await fetch(url, { method: 'POST', headers: { authorization, ...type }, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  return text;
}
