// What a Kubernetes API of kube.mjs has besides: a scheduler, nodes that only pretend (kwok), and one real node (kubelet, containerd, runc)
// whose images are made of folders. Needs root for the real one.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildKube, launch } from './kube.mjs';
import { freePort } from './ports.mjs';

const readyMs = 120_000;
/** Where a kubelet of this machine listens: reached from here alone, and not called loopback, which API servers do not pass requests on to. */
const kubeletAddress = '10.88.255.1';

/** Paths of `scheduler`, `kubelet` and `kwok`; builds them the first time. */
export async function nodePrograms() {
  const folder = await buildKube([
    'k8s.io/kubernetes/cmd/kube-scheduler',
    'k8s.io/kubernetes/cmd/kubelet',
    'sigs.k8s.io/kwok/cmd/kwok',
  ]);
  return { scheduler: join(folder, 'kube-scheduler'), kubelet: join(folder, 'kubelet'), kwok: join(folder, 'kwok') };
}

/** The real scheduler. Returns `{ pid, stop() }`. */
export async function startScheduler({ dir, kubeconfig }) {
  const { scheduler } = await nodePrograms();
  const process = launch(dir, 'kube-scheduler', scheduler, {
    kubeconfig,
    'bind-address': '127.0.0.1',
    'secure-port': await freePort(),
    'cert-dir': join(dir, 'certificates'),
    'leader-elect': false,
    'kube-api-qps': 1000,
    'kube-api-burst': 2000,
  });
  return { pid: process.pid, stop: () => process.kill() };
}

/**
 * `nodes` that only pretend, each with a million cores' worth of room and the label `type=kwok`; what pods do there is kwok/stages.yaml.
 * Resolves when they are ready. Returns `{ pid, stop() }`.
 */
export async function startKwok({ dir, kubeconfig, call, nodes = 5, labels = {} }) {
  const { kwok } = await nodePrograms();
  for (let i = 0; i < nodes; i++) {
    const metadata = {
      name: `kwok-${i}`,
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
      labels: { type: 'kwok', 'kubernetes.io/arch': 'amd64', 'kubernetes.io/os': 'linux', ...labels },
    };
    await call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata });
  }
  const process = launch(dir, 'kwok', kwok, {
    kubeconfig,
    config: join(import.meta.dirname, 'kwok', 'stages.yaml'),
    'manage-nodes-with-annotation-selector': 'kwok.x-k8s.io/node=fake',
    'node-lease-duration-seconds': 40,
    'server-address': `127.0.0.1:${await freePort()}`,
  });
  for (let i = 0; i < nodes; i++) await nodeReady(call, `kwok-${i}`, process);
  return { pid: process.pid, stop: () => process.kill() };
}

/**
 * A real node of this machine, `localhost`, with the label `type=real`. Returns
 * `{ importImage({ name, folder, command, env }), images(), stop() }`; an image's layer is that folder as it is.
 */
export async function startKubelet({ dir, kubeconfig, call }) {
  const { kubelet } = await nodePrograms();
  installRuntime();
  for (const part of ['containerd/cni', 'kubelet/certificates', 'images'])
    mkdirSync(join(dir, part), { recursive: true });
  const network = {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipam: { type: 'host-local', subnet: '10.88.0.0/22', dataDir: join(dir, 'containerd', 'addresses') },
      },
    ],
  };
  writeFileSync(join(dir, 'containerd', 'cni', '10-pods.conflist'), JSON.stringify(network));
  const socket = join(dir, 'containerd', 'c.sock');
  writeFileSync(join(dir, 'containerd', 'config.toml'), containerdConfig(dir, socket));
  const containerd = launch(dir, 'containerd', 'containerd', { config: join(dir, 'containerd', 'config.toml') });
  const ctr = (...args) => {
    const { status, stdout, stderr } = spawnSync('ctr', ['-a', socket, '-n', 'k8s.io', ...args], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    if (status !== 0) throw new Error(`ctr ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await until('containerd', containerd, () => spawnSync('ctr', ['-a', socket, 'version']).status === 0);
  const importImage = (image) => {
    const archive = join(dir, 'images', `${createHash('sha256').update(image.name).digest('hex').slice(0, 12)}.tar`);
    writeImage(archive, image);
    ctr('images', 'import', archive);
  };
  const shell = busyboxFolder(join(dir, 'images', 'busybox'));
  importImage({ name: 'docker.io/local/busybox:1', folder: shell, command: ['sh'] });
  importImage({ name: 'docker.io/local/pause:1', folder: shell, command: ['sleep', '1000000'] });
  writeFileSync(join(dir, 'kubelet', 'config.json'), JSON.stringify(kubeletConfig(dir, socket, await freePort())));
  addLoopbackAddress(kubeletAddress);
  const node = launch(dir, 'kubelet', kubelet, {
    config: join(dir, 'kubelet', 'config.json'),
    kubeconfig,
    'root-dir': join(dir, 'kubelet'),
    'cert-dir': join(dir, 'kubelet', 'certificates'),
    'hostname-override': 'localhost',
    'node-ip': kubeletAddress,
    'node-labels': 'type=real',
  });
  await nodeReady(call, 'localhost', node);
  const stop = async () => {
    await node.kill();
    // Containers outlive kubelet and containerd.
    for (const line of ctr('tasks', 'ls', '-q').split('\n').filter(Boolean))
      spawnSync('ctr', ['-a', socket, '-n', 'k8s.io', 'tasks', 'kill', '-s', 'SIGKILL', line]);
    await delay(500);
    for (const line of ctr('containers', 'ls', '-q').split('\n').filter(Boolean))
      spawnSync('ctr', ['-a', socket, '-n', 'k8s.io', 'tasks', 'rm', '-f', line]);
    await containerd.kill();
    unmountBelow(dir);
  };
  return { importImage, images: () => ctr('images', 'ls', '-q').split('\n').filter(Boolean), stop };
}

/** One more address of the loopback device. Other clusters of this machine may use it, too: it stays. */
function addLoopbackAddress(address) {
  const { status, stderr, error } = spawnSync('ip', ['address', 'replace', `${address}/32`, 'dev', 'lo'], {
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new Error(`a real node needs ${address} on the loopback device, which takes root: ${stderr || error}`);
}

/** What an apt system lacks of containerd, runc, the network plugins, a static shell and `ip`. */
function installRuntime() {
  const programs = ['containerd', 'runc', 'busybox', 'ip'];
  const there = programs.every((program) => spawnSync('which', [program]).status === 0);
  if (there && existsSync('/usr/lib/cni')) return;
  const packages = ['containerd', 'runc', 'busybox-static', 'containernetworking-plugins', 'iproute2'];
  const options = { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  let result = spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], options);
  if (result.status !== 0) {
    spawnSync('apt-get', ['update', '-q'], options);
    result = spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], options);
  }
  if (result.status !== 0)
    throw new Error(`a real node needs ${packages.join(', ')}: ${result.stderr || result.error}`);
}

function containerdConfig(dir, socket) {
  return `version = 2
root = "${dir}/containerd/root"
state = "${dir}/containerd/state"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/local/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${dir}/containerd/cni"
`;
}

function kubeletConfig(dir, socket, port) {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    failSwapOn: false,
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    localStorageCapacityIsolation: false,
    address: kubeletAddress,
    port,
    healthzPort: 0,
    readOnlyPort: 0,
    maxPods: 250,
    containerRuntimeEndpoint: `unix://${socket}`,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    evictionHard: {
      'memory.available': '1Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
    },
    podLogsDir: join(dir, 'kubelet', 'logs'),
    makeIPTablesUtilChains: false,
    syncFrequency: '1s',
  };
}

function busyboxFolder(folder) {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  for (const [command, ...args] of [
    ['cp', '/bin/busybox', bin],
    ['busybox', '--install', '-s', bin],
  ])
    spawnSync(command, args);
  // Installed as links to where it is here.
  for (const name of readdirSync(bin)) if (name !== 'busybox') spawnSync('ln', ['-sf', 'busybox', join(bin, name)]);
  return folder;
}

/** A Docker archive with one layer, which is the folder (a tar file: as it is). */
function writeImage(archive, { name, folder, command, env = {} }) {
  const layer = folder.endsWith('.tar') ? folder : `${archive}.layer`;
  if (layer !== folder) tar(['-C', folder, '-cf', layer, '.']);
  const digest = sha256Of(layer);
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: {
      Cmd: command,
      Env: Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin', ...env }).map(([key, value]) => `${key}=${value}`),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    history: [{ created_by: 'a folder' }],
  });
  const stage = `${archive}.parts`;
  mkdirSync(stage, { recursive: true });
  writeFileSync(join(stage, 'config.json'), config);
  writeFileSync(
    join(stage, 'manifest.json'),
    JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
  );
  spawnSync('ln', ['-f', layer, join(stage, 'layer.tar')]);
  tar(['-C', stage, '-cf', archive, 'config.json', 'manifest.json', 'layer.tar']);
}

function tar(args) {
  const { status, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar ${args.join(' ')}: ${stderr}`);
}

function sha256Of(path) {
  if (statSync(path).size < 2 ** 28) return createHash('sha256').update(readFileSync(path)).digest('hex');
  return spawnSync('sha256sum', [path], { encoding: 'utf8' }).stdout.split(' ')[0];
}

async function nodeReady(call, name, process) {
  await until(name, process, async () => {
    const { body } = await call('GET', `/api/v1/nodes/${name}`);
    return body.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  });
}

async function until(what, process, isThere) {
  for (const end = Date.now() + readyMs; ;) {
    if (await isThere()) return;
    if (process.ended || Date.now() > end) {
      await process.kill();
      throw new Error(`${what} is not ready: ${readFileSync(process.log, 'utf8').slice(-2000)}`);
    }
    await delay(100);
  }
}

/** What containers had mounted is no part of the folder that is to be removed. */
function unmountBelow(dir) {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.filter((path) => path.startsWith(`${dir}/`)).reverse()) spawnSync('umount', ['-l', mount]);
}
