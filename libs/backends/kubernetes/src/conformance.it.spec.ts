import { describeBackendConformance } from '@aloft/backend-kit/testing';
import { startCluster, type Kube } from './testing/kube.js';
import { PodWorld } from './testing/pod-world.js';

// Real: etcd, API server, scheduler, kubelet, containerd and runc, whose pods really run.
let kube: Kube;

beforeAll(async () => {
  kube = await startCluster({ real: true });
}, 900_000);

afterAll(async () => {
  await kube?.stop();
}, 60_000);

describeBackendConformance('kubernetes', { world: () => PodWorld.open(kube), many: 30 });
