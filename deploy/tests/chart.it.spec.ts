import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { environmentNames, loadConfig } from '@aloft/config';
import { parse, parseAllDocuments } from 'yaml';
import {
  chart,
  example,
  goModule,
  pathOf,
  podsOf,
  render,
  run,
  startKube,
  template,
  valuesFile,
  type Kube,
  type KubeObject,
} from './chart.js';
import { eventsTopic, mirrorGroup, projectionGroup, propellerGroup, topics } from './names.js';
import { leaves, schemas, serviceNames } from './services.js';

const minimal = { bus: { kafka: { brokers: ['kafka:9092'] } } };
const kedaOff = { ...minimal, propeller: { autoscaling: { kind: 'hpa' } }, backends: { autoscaling: { kind: 'hpa' } } };
const valueSets: Record<string, string | object> = {
  minimal,
  'KEDA off, HPA on': kedaOff,
  'examples/eks': example('eks'),
  'examples/self-managed': example('self-managed'),
  'examples/without-kafka': example('without-kafka'),
};
const applyPatch = 'application/apply-patch+yaml';

let kube: Kube;
const rendered = new Map<string, KubeObject[]>();
const objects = (set: string): KubeObject[] => rendered.get(set)!;
const named = (set: string, kind: string, name: string): KubeObject => {
  const found = objects(set).find((object) => object.kind === kind && object.metadata.name === name);
  if (!found) throw new Error(`${set} has no ${kind} ${name}`);
  return found;
};

beforeAll(async () => {
  kube = await startKube();
  for (const [name, values] of Object.entries(valueSets)) rendered.set(name, await render(kube.helm, values));
  const created = await kube.call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    // Pods that are not hardened are refused (and told of by the dry run of what makes them).
    metadata: { name: 'aloft', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  });
  expect(created.status).toBe(201);
  await installDefinitions();
}, 1_200_000);

afterAll(() => kube?.stop());

/** KEDA's and the Prometheus operator's own definitions, from their modules. */
async function installDefinitions(): Promise<void> {
  const keda = await goModule('github.com/kedacore/keda/v2@v2.21.0');
  const prometheus = await goModule('github.com/prometheus-operator/prometheus-operator@v0.85.0');
  const files = [
    join(keda, 'config/crd/bases/keda.sh_scaledobjects.yaml'),
    join(keda, 'config/crd/bases/keda.sh_triggerauthentications.yaml'),
    join(prometheus, 'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml'),
  ];
  for (const file of files) {
    const [definition] = parseAllDocuments(await readFile(file, 'utf8')).map((each) => each.toJS() as KubeObject);
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    expect((await kube.call('POST', path, definition)).status).toBe(201);
    await until(async () => {
      const { body } = await kube.call('GET', `${path}/${definition!.metadata.name}`);
      const conditions = (body['status']?.conditions ?? []) as { type: string; status: string }[];
      return conditions.some(({ type, status }) => type === 'Established' && status === 'True');
    });
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('what was waited for did not happen within a minute');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.each(Object.keys(valueSets))('S-32: the chart with %s', (set) => {
  test('passes helm lint', async () => {
    const values = await valuesFile(valueSets[set]!);
    const { code, stdout, stderr } = await run(kube.helm, [
      'lint',
      '--strict',
      '--kube-version=1.36.3',
      '--values',
      values,
      chart,
    ]);
    expect({ code, output: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, output: '' });
  });

  test('every object is accepted by a real API server, with no unknown field', async () => {
    const refused: string[] = [];
    for (const object of objects(set)) {
      const query = 'dryRun=All&fieldManager=test&fieldValidation=Strict&force=true';
      const path = `${pathOf(object, 'aloft')}?${query}`;
      const { status, body } = await kube.call('PATCH', path, JSON.stringify(object), applyPatch);
      if (status !== 200 && status !== 201)
        refused.push(`${object.kind} ${object.metadata.name}: ${status} ${body['message'] ?? JSON.stringify(body)}`);
    }
    expect(refused).toEqual([]);
    expect(objects(set).length).toBeGreaterThan(30);
  });

  test('every pod passes the "restricted" standard of pod security', async () => {
    for (const { owner, pod } of podsOf(objects(set))) {
      const object = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: owner.metadata.name, labels: pod.metadata.labels },
        // Priority classes and the like are the cluster's.
        spec: { ...pod['spec'], priorityClassName: undefined },
      };
      const { status, body } = await kube.call('POST', '/api/v1/namespaces/aloft/pods?dryRun=All', object);
      expect({ status, message: body['message'] }).toEqual({ status: 201, message: undefined });
    }
  });

  test('pods are non-root, read-only, without privileges or Kubernetes credentials', () => {
    const pods = podsOf(objects(set));
    expect(pods.length).toBe(10);
    for (const { pod } of pods) {
      const { spec } = pod;
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10001,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
      for (const container of spec.containers) {
        expect(container.securityContext).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources.requests).toMatchObject({ cpu: expect.anything(), memory: expect.anything() });
        expect(container.volumeMounts).toContainEqual({ name: 'tmp', mountPath: '/tmp' });
      }
    }
  });

  test('probes ask the routes that a service has, and a pod has longer to end than its service needs', () => {
    for (const { owner, pod } of podsOf(objects(set)).filter((each) => each.owner.kind === 'Deployment')) {
      const [container] = pod['spec'].containers;
      expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'http' });
      expect(container.startupProbe.httpGet).toEqual({ path: '/healthz', port: 'http' });
      expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' });
      const config = parse(named(set, 'ConfigMap', owner.metadata.name)['data']['aloft.yaml']) as KubeObject;
      const port = container.ports.find(({ name }: { name: string }) => name === 'http').containerPort;
      expect(port).toBe(config['http'].port);
      const { drainDelayMs, graceMs } = config['shutdown'];
      const preStop = container.lifecycle?.preStop.sleep.seconds ?? 0;
      expect(pod['spec'].terminationGracePeriodSeconds).toBeGreaterThan(preStop + (drainDelayMs + graceMs) / 1000);
    }
  });

  test('Services, budgets, policies and autoscalers select the pods that they are for', () => {
    const pods = podsOf(objects(set)).filter(({ owner }) => owner.kind === 'Deployment');
    const chosen = (selector: Record<string, string>) =>
      pods.filter(({ pod }) =>
        Object.entries(selector).every(([label, value]) => pod.metadata.labels?.[label] === value),
      );
    for (const object of objects(set)) {
      const { kind, spec } = object;
      const selector = { Service: spec?.selector, PodDisruptionBudget: spec?.selector?.matchLabels }[kind];
      const own = selector ?? (kind === 'NetworkPolicy' ? spec.podSelector.matchLabels : undefined);
      if (own) expect({ kind, chosen: chosen(own).length }).toEqual({ kind, chosen: 1 });
      if (kind === 'Deployment') expect(chosen(spec.selector.matchLabels)).toHaveLength(1);
      if (kind === 'HorizontalPodAutoscaler' || kind === 'ScaledObject') {
        const deployment = named(set, 'Deployment', spec.scaleTargetRef.name);
        expect(deployment['spec'].replicas).toBeUndefined();
      }
      if (kind === 'Service')
        for (const { targetPort } of spec.ports)
          expect(chosen(own)[0]!.pod['spec'].containers[0].ports).toContainEqual(
            expect.objectContaining({ name: targetPort }),
          );
    }
    // No migration's pod is ever a service's.
    for (const { pod } of podsOf(objects(set)).filter(({ owner }) => owner.kind === 'Job'))
      expect(serviceNames).not.toContain(pod.metadata.labels?.['app.kubernetes.io/component']);
  });

  test.each(serviceNames)('%s accepts its configuration file and variables', async (service) => {
    const file = await valuesFile(parse(named(set, 'ConfigMap', `aloft-${service}`)['data']['aloft.yaml']) as object);
    const { env } = named(set, 'Deployment', `aloft-${service}`)['spec'].template.spec.containers[0];
    const url = 'postgresql://aloft_x:secret@db.example.com:5432/aloft';
    const secrets = Object.fromEntries(
      (env as { name: string; valueFrom?: object }[])
        .filter(({ valueFrom }) => valueFrom)
        .map(({ name }) => [name, name.endsWith('_URL') ? url : 'secret']),
    );
    const schema = schemas[service]!;
    const config = loadConfig({ schema, file, env: secrets });
    expect(config).toMatchObject({ database: { url }, http: { host: '0.0.0.0' } });
    // A setting that the schema does not know would be dropped without a word.
    const given = leaves(parse(await readFile(file, 'utf8')));
    expect(given.filter((leaf) => !leaves(config).includes(leaf))).toEqual([]);
    const known = [...environmentNames(schema).keys(), 'ALOFT_CONFIG'];
    const names = (env as { name: string }[]).map(({ name }) => name).filter((name) => name.startsWith('ALOFT_'));
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('secrets are named, never written', () => {
    for (const object of objects(set)) expect(object.kind).not.toBe('Secret');
    for (const { pod } of podsOf(objects(set)))
      for (const { name, value } of pod['spec'].containers[0].env)
        if (/URL|PASSWORD|SECRET|KEY|USERNAME/.test(name)) expect({ name, value }).toEqual({ name, value: undefined });
    const maps = objects(set).filter(({ kind }) => kind === 'ConfigMap');
    for (const { data } of maps) expect(JSON.stringify(data)).not.toMatch(/postgres(ql)?:\/\/|secretAccessKey/);
  });

  test("the administrator's URL is seen by migrations only", () => {
    for (const { owner, pod } of podsOf(objects(set))) {
      const names = pod['spec'].containers[0].env.map(({ name }: { name: string }) => name);
      if (owner.kind === 'Deployment') expect(names).not.toContain('ALOFT_DATABASE_ADMIN_URL');
      else {
        expect(pod['spec'].containers[0].args).toEqual(['migrate']);
        expect(owner.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade' });
      }
    }
  });
});

describe('S-32: what the chart makes of its values', () => {
  test('roles, images, headless Services and hooks of the EKS example', () => {
    expect(named('examples/eks', 'ServiceAccount', 'aloft-propeller').metadata.annotations).toEqual({
      'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/aloft-propeller',
    });
    const propeller = named('examples/eks', 'Deployment', 'aloft-propeller')['spec'].template.spec;
    expect(propeller.containers[0].image).toBe('123456789012.dkr.ecr.eu-west-1.amazonaws.com/aloft-propeller:0.1.0');
    expect(propeller.serviceAccountName).toBe('aloft-propeller');
    const configOf = (name: string) =>
      parse(named('examples/eks', 'ConfigMap', name)['data']['aloft.yaml']) as KubeObject;
    const { adminAddress, catalogAddress } = configOf('aloft-propeller');
    for (const address of [adminAddress, catalogAddress, configOf('aloft-admin')['propellerAddress']]) {
      const [, host, port] = /^dns:\/\/\/([^:]+):(\d+)$/.exec(address)!;
      const service = named('examples/eks', 'Service', host!.split('.')[0]!);
      expect(host).toBe(`${service.metadata.name}.aloft.svc.cluster.local`);
      expect(service['spec']).toMatchObject({
        clusterIP: 'None',
        ports: expect.arrayContaining([expect.objectContaining({ port: Number(port), targetPort: 'grpc' })]),
      });
    }
    const backends = named('examples/eks', 'Deployment', 'aloft-backends')['spec'].template.spec;
    expect(backends).toMatchObject({ shareProcessNamespace: true, nodeSelector: { workload: 'aloft-tasks' } });
    expect(propeller.nodeSelector).toBeUndefined();
  });

  test("KEDA looks at the topics and groups that the services' code has", async () => {
    const all = Object.fromEntries(
      ['admin', 'propeller', 'notifier', 'backends'].map((service) => [service, { autoscaling: { kind: 'keda' } }]),
    );
    const found = (await render(kube.helm, { ...minimal, ...all }))
      .filter(({ kind }) => kind === 'ScaledObject')
      .map(({ metadata, spec }) => [
        metadata.name,
        (spec.triggers as { type: string; metadata: Record<string, string> }[])
          .filter(({ type }) => type === 'kafka')
          .map(({ metadata: { consumerGroup, topic } }) => [consumerGroup, topic]),
      ]);
    expect(Object.fromEntries(found)).toEqual({
      'aloft-admin': [[mirrorGroup(projectionGroup), eventsTopic]],
      'aloft-propeller': [
        [mirrorGroup(propellerGroup), topics.commands],
        [mirrorGroup(propellerGroup), topics.reports],
      ],
      'aloft-notifier': [[mirrorGroup('notifier'), topics.events]],
      'aloft-backends': [[mirrorGroup('local'), topics.tasks('local')]],
    });
  });

  test('a backend that the configuration enables has its trigger, one that it disables has none', async () => {
    const connector = { servers: [{ name: 'flytekit', address: 'connectors:8000' }] };
    const triggers = async (backends: object) => {
      const values = { ...minimal, backends: { autoscaling: { kind: 'keda' }, config: { backends } } };
      const scaled = (await render(kube.helm, values)).filter(({ kind }) => kind === 'ScaledObject');
      return (scaled[0]!['spec'].triggers as { type: string; metadata: Record<string, string> }[])
        .filter(({ type }) => type === 'kafka')
        .map(({ metadata: { consumerGroup, topic } }) => [consumerGroup, topic]);
    };
    const ofLocal = [mirrorGroup('local'), topics.tasks('local')];
    const ofConnector = [mirrorGroup('connector'), topics.tasks('connector')];
    expect(await triggers({ connector })).toEqual([ofLocal, ofConnector]);
    expect(await triggers({ connector, local: { enabled: false } })).toEqual([ofConnector]);
    expect(await triggers({ connector: { servers: [] } })).toEqual([ofLocal]);
    const others = { awsBatch: { queues: [{}] }, kubernetes: { clusters: [{}] }, plugins: { own: {} } };
    expect(await triggers({ ...others, local: { enabled: false } })).toEqual(
      ['aws-batch', 'kubernetes', 'own'].map((name) => [mirrorGroup(name), topics.tasks(name)]),
    );
  });

  test('services and migrations alike trust the authorities that are named', () => {
    for (const { pod } of podsOf(objects('examples/eks'))) {
      const [container] = pod['spec'].containers;
      expect(container.env).toContainEqual({ name: 'NODE_EXTRA_CA_CERTS', value: '/etc/aloft/authorities/ca.pem' });
      expect(container.volumeMounts).toContainEqual(expect.objectContaining({ mountPath: '/etc/aloft/authorities' }));
      expect(pod['spec'].volumes).toContainEqual({ name: 'authorities', configMap: { name: 'rds-ca' } });
    }
    for (const { pod } of podsOf(objects('minimal')))
      expect(JSON.stringify(pod['spec'])).not.toMatch(/NODE_EXTRA_CA_CERTS|authorities/);
  });

  test('KEDA authenticates as the services do: MSK by role, SCRAM and certificates by Secret', () => {
    const [eks] = objects('examples/eks').filter(({ kind }) => kind === 'TriggerAuthentication');
    expect(eks!['spec']).toEqual({ podIdentity: { provider: 'aws' } });
    const own = named('examples/self-managed', 'TriggerAuthentication', 'aloft-kafka');
    expect(own['spec'].secretTargetRef.map(({ parameter }: { parameter: string }) => parameter)).toEqual([
      'username',
      'password',
      'ca',
      'cert',
      'key',
    ]);
    const { triggers } = named('examples/self-managed', 'ScaledObject', 'aloft-propeller')['spec'];
    expect(triggers[1].metadata).toMatchObject({
      sasl: 'scram_sha512',
      tls: 'enable',
      topic: 'production.executions.commands',
    });
    expect(objects('KEDA off, HPA on').filter(({ apiVersion }) => apiVersion.startsWith('keda'))).toEqual([]);
  });

  test("a service's own settings are merged over the chart's; changed settings roll its pods, and no others'", async () => {
    const changed = { ...minimal, propeller: { config: { propeller: { timerHorizonMs: 5000 }, logLevel: 'debug' } } };
    const after = await render(kube.helm, changed);
    const checksum = (list: KubeObject[], name: string) =>
      list.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name)!['spec'].template.metadata
        .annotations['checksum/config'];
    const map = after.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'aloft-propeller')!;
    expect(parse(map['data']['aloft.yaml'])).toMatchObject({ propeller: { timerHorizonMs: 5000 }, logLevel: 'debug' });
    expect(checksum(after, 'aloft-propeller')).not.toBe(checksum(objects('minimal'), 'aloft-propeller'));
    expect(checksum(after, 'aloft-admin')).toBe(checksum(objects('minimal'), 'aloft-admin'));
  });

  const kafka = (settings: object) => ({ bus: { kafka: { brokers: ['a:1'], ...settings } } });
  test.each<[string, object, RegExp]>([
    ['no broker', {}, /bus\.kafka\.brokers is empty: give the brokers/],
    ['a broker without port', kafka({ brokers: ['kafka'] }), /bus\/kafka\/brokers\/0.*does not match/],
    ['a misspelt value', { ...minimal, propellor: {} }, /additional properties 'propellor' not allowed/],
    ['a count in words', { ...minimal, admin: { replicas: 'two' } }, /admin\/replicas.*want integer/],
    ['KEDA for the catalog', { ...minimal, catalog: { autoscaling: { kind: 'keda' } } }, /catalog\/autoscaling\/kind/],
    ['IAM without TLS', kafka({ sasl: { mechanism: 'aws-iam', region: 'x' } }), /set bus\.kafka\.tls\.enabled/],
    ['IAM without region', kafka({ sasl: { mechanism: 'aws-iam' } }), /set bus\.kafka\.sasl\.region/],
    ['SCRAM without Secret', kafka({ sasl: { mechanism: 'scram-sha-512' } }), /bus\.kafka\.sasl\.existingSecret/],
    ['more in sync than replicas', kafka({ replicationFactor: 1 }), /no message could ever be written/],
    ['the Postgres bus without Secret', { bus: { driver: 'postgres' } }, /bus\.postgres\.existingSecret/],
    [
      'KEDA without Kafka',
      {
        bus: { driver: 'postgres', postgres: { existingSecret: 'x' } },
        propeller: { autoscaling: { kind: 'keda' } },
      },
      /but bus\.driver is postgres: use hpa/,
    ],
    ['an ingress without host', { ...minimal, ingress: { http: { enabled: true } } }, /ingress\/http\/host/],
    [
      'a secret among the settings',
      { ...minimal, admin: { config: { database: { url: 'postgresql://a:b@c/d' } } } },
      /admin\.config\.database\.url would put a secret into a ConfigMap/,
    ],
    [
      'fewer replicas at most than at least',
      { ...minimal, admin: { autoscaling: { minReplicas: 9 } } },
      /admin\.autoscaling\.minReplicas is more than maxReplicas/,
    ],
  ])('bad values are refused: %s', async (_, values, message) => {
    const { code, stderr } = await template(kube.helm, values);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });
});

describe('S-32: helm and a real API server', () => {
  test('install and upgrade: migrations first, and nothing else before they are done', async () => {
    const helm = (...args: string[]) =>
      run(kube.helm, [...args, '--namespace', 'aloft', '--kubeconfig', kube.kubeconfig]);
    const dry = await helm('install', 'aloft', chart, '--dry-run=server', '--values', example('eks'));
    expect({ code: dry.code, stderr: dry.code === 0 ? '' : dry.stderr }).toEqual({ code: 0, stderr: '' });
    expect(dry.stdout).toMatch(/grpc is offered at grpc\.aloft\.example\.com/);

    for (const command of ['install', 'upgrade']) {
      const values = await valuesFile(command === 'install' ? minimal : kedaOff);
      const under = helm(command, 'aloft', chart, '--values', values, '--timeout', '2m');
      for (const service of serviceNames) {
        const name = `aloft-${service}-migrate`;
        await until(async () => (await job(name)) === 'running');
        if (command === 'install') expect((await list('apps/v1', 'deployments')).length).toBe(0);
        await complete(name);
      }
      const { code, stderr, stdout } = await under;
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/port-forward svc\/aloft-admin 8088 8089/);
      expect((await list('apps/v1', 'deployments')).length).toBe(5);
      // Their logs are of no use any more.
      expect(await list('batch/v1', 'jobs')).toEqual([]);
    }
    expect((await list('autoscaling/v2', 'horizontalpodautoscalers')).length).toBe(2);
    const left = await helm('uninstall', 'aloft');
    expect(left.code).toBe(0);
    await until(async () => (await list('apps/v1', 'deployments')).length === 0);
  });

  async function list(group: string, plural: string): Promise<KubeObject[]> {
    return (await kube.call('GET', `/apis/${group}/namespaces/aloft/${plural}`)).body['items'] as KubeObject[];
  }

  async function job(name: string): Promise<'missing' | 'running' | 'done'> {
    const { status, body } = await kube.call('GET', `/apis/batch/v1/namespaces/aloft/jobs/${name}`);
    if (status === 404) return 'missing';
    return body['status'].conditions?.length > 0 ? 'done' : 'running';
  }

  /** What the controller of Jobs would do once a migration has ended. */
  async function complete(name: string): Promise<void> {
    const now = new Date().toISOString().replace(/\.\d+/, '');
    const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now, lastProbeTime: now });
    const status = {
      startTime: now,
      completionTime: now,
      succeeded: 1,
      conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
    };
    const path = `/apis/batch/v1/namespaces/aloft/jobs/${name}/status`;
    const answer = await kube.call('PATCH', path, { status }, 'application/merge-patch+json');
    expect({ status: answer.status, message: answer.body['message'] }).toEqual({ status: 200, message: undefined });
  }
});
