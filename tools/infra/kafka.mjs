// A real Apache Kafka broker (KRaft, one node) on this machine, from Maven Central: for tests, benches and start:distributed.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { whole } from '../once.mjs';
import { freePort } from './ports.mjs';

export const kafkaVersion = '4.1.1';

const root = join(import.meta.dirname, '..', '..');
const readyMs = 120_000;
const clusterId = 'MkU3OEVBNTcwNTJENDM2Qk';

/**
 * Starts a broker; resolves when it takes requests. Data and configuration lie in `dir` and are used again by a later start.
 *
 * - `port`: of the listener for clients (default: a free one). `host` stands in the certificate and is what clients are told.
 * - `security`: `{ protocol: 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL', keystore?: { path, password }, scram?: [{ mechanism, username,
 *   password }], plain?: { user: password }, oauth?: true }`: how clients have to come (default: as they like).
 * - `properties`: further broker settings, e.g. `{ 'log.retention.ms': 1000 }`. `heapMb`: default 384.
 *
 * Returns `{ brokers, port, pid, dir, log, stop(), kill(), pause(), resume(), restart() }`; `pid` is the present one.
 */
export async function start({ dir, port, security, properties = {}, heapMb = 384 }) {
  const libraries = await install();
  mkdirSync(dir, { recursive: true });
  const remembered = join(dir, 'ports.json');
  // The same as before where nobody has taken them meanwhile.
  const before = existsSync(remembered) ? JSON.parse(readFileSync(remembered, 'utf8')) : {};
  const ports = {
    client: port ?? (await freePort(before.client)),
    controller: await freePort(before.controller),
    internal: await freePort(before.internal),
  };
  writeFileSync(remembered, JSON.stringify(ports));
  const config = join(dir, 'server.properties');
  writeFileSync(config, toProperties({ ...settings(dir, ports, security), ...properties }));
  writeFileSync(join(dir, 'log4j2.yaml'), logging);
  const java = [
    '-Xms128m',
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    `-Dlog4j2.configurationFile=${join(dir, 'log4j2.yaml')}`,
    '-cp',
    join(libraries, '*'),
  ];
  if (!existsSync(join(dir, 'logs', 'meta.properties'))) format(java, config, security);
  const broker = new Broker(dir, ports.client, java, config);
  await broker.launch();
  return broker;
}

class Broker {
  #child;

  constructor(dir, port, java, config) {
    this.dir = dir;
    this.port = port;
    this.brokers = [`127.0.0.1:${port}`];
    this.log = join(dir, 'server.log');
    this.launch = async () => {
      const output = openSync(this.log, 'a');
      this.#child = spawn('java', [...java, 'kafka.Kafka', config], { stdio: ['ignore', output, output] });
      closeSync(output);
      this.exited = new Promise((resolve) => this.#child.once('exit', resolve));
      let gone = false;
      void this.exited.then(() => (gone = true));
      for (const until = Date.now() + readyMs; Date.now() < until; await delay(50)) {
        if (gone) throw new Error(`Kafka ended while it was starting; the end of ${this.log}:\n${tail(this.log)}`);
        if (await answers(port)) return;
      }
      await this.kill();
      throw new Error(`Kafka did not listen on port ${port} within ${readyMs / 1000} s; see ${this.log}`);
    };
  }

  get pid() {
    return this.#child.pid;
  }

  /** Lets it close its logs; kills it after 20 s. */
  async stop() {
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    const late = delay(20_000, 'late', { ref: false });
    if ((await Promise.race([this.exited, late])) === 'late') await this.kill();
  }

  async kill() {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  pause() {
    this.#child.kill('SIGSTOP');
  }

  resume() {
    this.#child.kill('SIGCONT');
  }

  /** Stops it (with `hard`: kills it), and starts it on the same data and port. */
  async restart({ hard = false } = {}) {
    await (hard ? this.kill() : this.stop());
    await this.launch();
  }
}

/** The broker's jars, fetched once; several processes may ask at the same time. */
async function install() {
  const version = spawnSync('java', ['-version'], { encoding: 'utf8' });
  const major = Number(/version "(\d+)/.exec(version.stderr ?? '')?.[1] ?? 0);
  if (major < 17)
    throw new Error(
      `Kafka ${kafkaVersion} needs Java 17 or newer as "java" on the PATH; ${version.error ? 'there is none' : `this one is ${major}`} ` +
        '(Debian: apt-get install openjdk-17-jre-headless)',
    );
  const folder = join(root, '.cache', 'infra', `kafka-${kafkaVersion}`);
  await whole(folder, (part) => {
    const pom = join(part, 'pom.xml');
    writeFileSync(pom, project);
    const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${part}`];
    const fetched = spawnSync('mvn', ['-q', '-B', '-f', pom, ...copy], { encoding: 'utf8' });
    if (fetched.error)
      throw new Error(`Kafka is fetched by Maven, and "mvn" is not on the PATH (Debian: apt-get install maven)`);
    if (fetched.status !== 0)
      throw new Error(
        `Maven could not fetch org.apache.kafka:kafka_2.13:${kafkaVersion}:\n${fetched.stdout}${fetched.stderr}`,
      );
  });
  return folder;
}

function format(java, config, security) {
  const users = (security?.scram ?? []).flatMap(({ mechanism, username, password }) => [
    '--add-scram',
    `${mechanism}=[name=${username},password=${password}]`,
  ]);
  const done = spawnSync(
    'java',
    [...java, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config, ...users],
    {
      encoding: 'utf8',
    },
  );
  if (done.status !== 0) throw new Error(`Kafka could not prepare its folder:\n${done.stdout}${done.stderr}`);
}

function settings(dir, ports, security) {
  const protocol = security?.protocol ?? 'PLAINTEXT';
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    // What the broker says to itself goes over a listener of its own, so that clients' security is theirs alone.
    listeners: `CLIENT://127.0.0.1:${ports.client},INTERNAL://127.0.0.1:${ports.internal},CONTROLLER://127.0.0.1:${ports.controller}`,
    'advertised.listeners': `CLIENT://127.0.0.1:${ports.client},INTERNAL://127.0.0.1:${ports.internal}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map': `CLIENT:${protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'log.dirs': join(dir, 'logs'),
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'auto.create.topics.enable': false,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 8388608,
    ...secured(security),
  };
}

function secured(security) {
  if (!security) return {};
  const { keystore, scram = [], plain, oauth } = security;
  const login = 'listener.name.client';
  const mechanisms = [
    ...new Set(scram.map(({ mechanism }) => mechanism)),
    ...(plain ? ['PLAIN'] : []),
    ...(oauth ? ['OAUTHBEARER'] : []),
  ];
  const scramLogin = (user) =>
    `org.apache.kafka.common.security.scram.ScramLoginModule required username="${user.username}" password="${user.password}";`;
  const result = {};
  if (keystore)
    Object.assign(result, {
      'ssl.keystore.type': 'PKCS12',
      'ssl.keystore.location': keystore.path,
      'ssl.keystore.password': keystore.password,
    });
  if (mechanisms.length > 0) result[`${login}.sasl.enabled.mechanisms`] = mechanisms.join(',');
  for (const user of scram) result[`${login}.${user.mechanism.toLowerCase()}.sasl.jaas.config`] = scramLogin(user);
  if (plain) {
    const [[name, password]] = Object.entries(plain);
    const users = Object.entries(plain).map(([user, secret]) => `user_${user}="${secret}"`);
    result[`${login}.plain.sasl.jaas.config`] =
      `org.apache.kafka.common.security.plain.PlainLoginModule required username="${name}" password="${password}" ${users.join(' ')};`;
  }
  if (oauth) {
    result[`${login}.oauthbearer.sasl.jaas.config`] =
      'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker" ' +
      'unsecuredLoginListClaim_scope="";';
  }
  return result;
}

const toProperties = (values) =>
  Object.entries(values)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');

const project = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency></dependencies></project>
`;

const logging = `Configuration:
  Appenders: {Console: {name: STDOUT, PatternLayout: {pattern: "%d %p %c{1} %m%n"}}}
  Loggers: {Root: {level: WARN, AppenderRef: [{ref: STDOUT}]}}
`;

const tail = (file) => readFileSync(file, 'utf8').split('\n').slice(-30).join('\n');

/** Something listens: a KRaft broker opens its port to clients when it is ready for them. */
function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
