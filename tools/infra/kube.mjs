// A real Kubernetes API on this machine: etcd and kube-apiserver, built from their Go modules; and Helm, built with them
// because it is made of the same packages. No nodes, no controllers: for what the API itself refuses, defaults and stores.
// Nodes are those of kube-nodes.mjs.
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildGo } from './go.mjs';
import { freePort } from './ports.mjs';

export const kubernetesVersion = 'v1.36.3';
const readyMs = 120_000;

/** Paths of `kube-apiserver`, `etcd` and `helm`; builds them the first time. */
export async function kubePrograms() {
  const folder = await buildKube([
    'k8s.io/kubernetes/cmd/kube-apiserver',
    'go.etcd.io/etcd/server/v3',
    'helm.sh/helm/v4/cmd/helm',
  ]);
  return { apiserver: join(folder, 'kube-apiserver'), etcd: join(folder, 'server'), helm: join(folder, 'helm') };
}

/** Builds these of the module's packages the first time; resolves to their folder. */
export function buildKube(packages) {
  const version = 'k8s.io/component-base/version';
  return buildGo({
    folder: join(import.meta.dirname, 'kube'),
    packages,
    ldflags: `-X ${version}.gitVersion=${kubernetesVersion} -X ${version}.gitMajor=1 -X ${version}.gitMinor=36`,
    // Compiles faster; nobody waits for these programs.
    flags: ['-gcflags=all=-N -l'],
  });
}

/**
 * Starts the API on 127.0.0.1 with its data in `dir`; resolves when it is ready. `accounts`: pods need their service accounts, which nobody makes by himself here. Returns `{ url, token, kubeconfig, pids,
 * helm, call(method, path, body?, contentType?), restartApi(), stop() }`; `call` answers `{ status, body }`, `kubeconfig` is a file;
 * `restartApi` is SIGKILL and a new process on the same port and data.
 */
export async function start({ dir, accounts = false }) {
  const programs = await kubePrograms();
  mkdirSync(join(dir, 'certificates'), { recursive: true });
  const [port, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const token = randomBytes(16).toString('hex');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keyFile = join(dir, 'service-accounts.key');
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(dir, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const url = `https://127.0.0.1:${port}`;
  const etcd = launch(dir, 'etcd', programs.etcd, {
    'data-dir': join(dir, 'etcd'),
    'listen-client-urls': etcdUrl,
    'advertise-client-urls': etcdUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `default=${peerUrl}`,
    'unsafe-no-fsync': true,
    'log-level': 'warn',
  });
  const startApi = () =>
    launch(dir, 'kube-apiserver', programs.apiserver, {
      'etcd-servers': etcdUrl,
      'bind-address': '127.0.0.1',
      'advertise-address': '127.0.0.1',
      'endpoint-reconciler-type': 'none',
      'secure-port': port,
      'cert-dir': join(dir, 'certificates'),
      'service-cluster-ip-range': '10.96.0.0/24',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': keyFile,
      'service-account-signing-key-file': keyFile,
      'token-auth-file': join(dir, 'tokens.csv'),
      'authorization-mode': 'RBAC',
      // Nobody makes the accounts that they ask for, or takes the taints away: there is no controller.
      'disable-admission-plugins': `${accounts ? '' : 'ServiceAccount,'}TaintNodesByCondition`,
      // What it passes on to a kubelet; names of this machine are refused.
      'kubelet-preferred-address-types': 'InternalIP',
      profiling: false,
      // What many tests ask for at once is no more than one of them may.
      'enable-priority-and-fairness': false,
    });
  const processes = [startApi(), etcd];
  const stop = () => Promise.all(processes.map((process) => process.kill()));
  const call = (method, path, body, type) => ask({ port, token, method, path, body, type });
  const ready = async () => {
    for (const until = Date.now() + readyMs; ;) {
      const ended = processes.find((process) => process.ended);
      if (ended || Date.now() > until) {
        await stop();
        const { name, log } = ended ?? processes[0];
        throw new Error(`${name} ${ended ? 'ended' : 'is not ready'}: ${readFileSync(log, 'utf8').slice(-2000)}`);
      }
      const answer = await call('GET', '/readyz').catch(() => undefined);
      if (answer?.status === 200) return;
      await delay(100);
    }
  };
  const restartApi = async () => {
    await processes[0].kill();
    processes[0] = startApi();
    await ready();
  };
  await ready();
  const kubeconfig = join(dir, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  const pids = processes.map(({ pid }) => pid);
  return { url, token, kubeconfig, pids, helm: programs.helm, call, restartApi, stop };
}

/** A program with these flags, its output in `<dir>/<name>.log`. Returns `{ name, log, pid, ended, kill() }`. */
export function launch(dir, name, program, flags) {
  const log = join(dir, `${name}.log`);
  const out = openSync(log, 'a');
  const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  const child = spawn(program, args, { stdio: ['ignore', out, out] });
  closeSync(out);
  const state = { name, log, pid: child.pid, ended: false };
  const exit = new Promise((resolve) => {
    const end = () => {
      state.ended = true;
      resolve();
    };
    child.once('exit', end);
    child.once('error', end);
  });
  // Not TERM: the API server waits for an etcd that is going, too.
  state.kill = () => (child.kill('SIGKILL'), exit);
  return state;
}

function ask({ port, token, method, path, body, type = 'application/json' }) {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': type }) };
    // A connection of its own: one that is kept may be closed by the time that whoever asks comes back to it.
    const own = { agent: false, rejectUnauthorized: false, timeout: 30_000 };
    const options = { host: '127.0.0.1', port, path, method, headers, ...own };
    const call = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.once('end', () => {
        const isJson = response.headers['content-type']?.includes('json');
        resolve({ status: response.statusCode, body: isJson ? JSON.parse(text) : text });
      });
      response.once('error', reject);
    });
    call.once('error', reject);
    call.once('timeout', () => call.destroy(new Error(`${method} ${path}: no answer`)));
    call.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}
