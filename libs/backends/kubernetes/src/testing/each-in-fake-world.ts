import { FakeWorld } from './fake-world.js';
import { type Kube, startCluster } from './kube.js';

/** A cluster for all cases of a file or suite, and a world of its own for each of them, given before it. */
export function eachInFakeWorld(
  cluster: Parameters<typeof startCluster>[0],
  given: (kube: Kube, world: FakeWorld) => void,
): void {
  let kube: Kube | undefined;
  let world: FakeWorld | undefined;
  beforeAll(async () => {
    kube = await startCluster(cluster);
  }, 900_000);
  afterAll(() => kube?.stop(), 60_000);
  beforeEach(async () => {
    world = await FakeWorld.open(kube!);
    given(kube!, world);
  });
  afterEach(() => world?.close(), 60_000);
}
