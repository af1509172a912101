import type { ClusterClient } from '../cluster/client.js';
import { unavailable } from '@aloft/errors';
import { kubelets, metricsApi, samplesIn } from './sources.js';

const wanted = { selectors: ['a=b'], namespaces: [undefined], nodes: new Set(['n1', 'n2']) };

// As kubelet v1.36 writes it.
const text = `# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="main",namespace="default",pod="burn"} 2.73155646 1795811847140
container_cpu_usage_seconds_total{container="side",namespace="default",pod="burn"} 0.023600363 1795811847143
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="main",namespace="default",pod="burn"} 237568 1795811847140
# TYPE container_start_time_seconds gauge
container_start_time_seconds{container="main",namespace="default",pod="burn"} 1.795811835087608e+09
node_cpu_usage_seconds_total 121955.980858846 1795811831368
pod_cpu_usage_seconds_total{namespace="default",pod="burn"} 2.755156823 1795811847143
scrape_error 0
`;

describe('nodes’ own figures', () => {
  it('are read by container', () => {
    const of = { namespace: 'default', pod: 'burn' };
    expect(samplesIn(text)).toEqual([
      {
        ...of,
        container: 'main',
        at: 1795811847140,
        cpuSeconds: 2.73155646,
        memoryBytes: 237568,
        startedAt: 1795811835088,
      },
      { ...of, container: 'side', at: 1795811847143, cpuSeconds: 0.023600363, memoryBytes: 0, startedAt: undefined },
    ]);
  });

  it('a node that does not answer is left out; if none does, that is an error', async () => {
    const client = (answers: boolean) =>
      ({
        text: async (path: string) => {
          if (answers && path === '/api/v1/nodes/n2/proxy/metrics/resource') return text;
          throw unavailable('no answer');
        },
      }) as unknown as ClusterClient;
    await expect(kubelets.read(client(true), wanted)).resolves.toHaveLength(2);
    await expect(kubelets.read(client(false), wanted)).rejects.toThrow('no answer');
  });
});

describe('the metrics API', () => {
  it('is read by label, and in the namespaces that may be seen', async () => {
    const asked: string[] = [];
    const client = {
      list: async (path: string, query: object) => {
        asked.push(`${path} ${JSON.stringify(query)}`);
        return {
          items: [
            {
              metadata: { namespace: 'x', name: 'p' },
              timestamp: '2026-11-27T20:00:00Z',
              window: '15.2s',
              containers: [{ name: 'main', usage: { cpu: '250123456n', memory: '2048Ki' } }],
            },
          ],
        };
      },
    } as unknown as ClusterClient;
    const at = Date.UTC(2026, 10, 27, 20);
    expect(await metricsApi.read(client, { ...wanted, namespaces: ['x'] })).toEqual([
      { namespace: 'x', pod: 'p', container: 'main', at, cpuCores: 0.250123456, memoryBytes: 2 ** 21 },
    ]);
    await metricsApi.read(client, wanted);
    expect(asked).toEqual([
      '/apis/metrics.k8s.io/v1beta1/namespaces/x/pods {"labelSelector":"a=b"}',
      '/apis/metrics.k8s.io/v1beta1/pods {"labelSelector":"a=b"}',
    ]);
  });
});
