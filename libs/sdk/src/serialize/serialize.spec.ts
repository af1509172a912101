import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import type { Node } from '@aloft/idl/flyteidl/core/workflow';
import {
  and,
  approve,
  dynamic,
  eq,
  gt,
  launchPlan,
  launchPlanReference,
  map,
  sleep,
  t,
  task,
  taskReference,
  waitForSignal,
  when,
  workflow,
} from '../index.js';
import type { Entity } from '../entities.js';
import { noTransfer } from '../types/file-transfer.js';
import { serialize, type SerializeContext } from './index.js';

const context: SerializeContext = {
  project: 'flytesnacks',
  domain: 'development',
  version: 'v1',
  image: 'aloft/typescript:0.1.0',
  module: 'pipeline.js',
  distribution: 's3://aloft/bundles/b.tar.gz',
  transfer: noTransfer,
};

const score = task(
  {
    name: 'pipeline.score',
    inputs: { n: t.int, weight: t.float.default(0.5), note: t.optional(t.string) },
    outputs: { result: t.struct({ value: t.float, rank: t.int }) },
    retries: 2,
    timeout: '90s',
    cache: { version: '3', serialize: true, ignoredInputs: ['note'] },
    resources: { cpu: 2, memory: '1Gi', limits: { cpu: 4, memory: '2Gi' } },
    env: { B: '2', A: '1' },
    secrets: [{ group: 'db', key: 'password' }],
    deck: true,
    interruptible: true,
  },
  ({ n, weight }) => ({ result: { value: n * weight, rank: n } }),
);
const count = task({ name: 'pipeline.count', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => ({ n }));
const inner = workflow({ name: 'pipeline.inner', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => ({
  n: count({ n }).n,
}));

async function specOf(entity: Entity): Promise<WorkflowSpec> {
  const { workflows } = await serialize([entity], context);
  return workflows.at(-1)!.spec;
}

function nodeOf(spec: WorkflowSpec, id: string): Node {
  return spec.template!.nodes.find((node) => node.id === id)!;
}

describe('serialisation', () => {
  test('C-11: a task template says all of its settings', async () => {
    const { tasks } = await serialize([score as never], context);
    const template = tasks[0]!.spec.template!;
    expect(template.id).toMatchObject({
      resourceType: 1,
      project: 'flytesnacks',
      domain: 'development',
      name: 'pipeline.score',
      version: 'v1',
      org: '',
    });
    expect(template.type).toBe('typescript-task');
    expect(template.metadata).toMatchObject({
      discoverable: true,
      discoveryVersion: '3',
      cacheSerializable: true,
      cacheIgnoreInputVars: ['note'],
      retries: { retries: 2 },
      timeout: { seconds: 90n, nanos: 0 },
      interruptibleValue: { $case: 'interruptible', value: true },
      generatesDeck: true,
    });
    expect(template.securityContext?.secrets[0]).toMatchObject({ group: 'db', key: 'password' });
    const container = template.target?.$case === 'container' ? template.target.value : undefined;
    expect(container!.args.join(' ')).toBe(
      'aloft-execute --inputs {{.input}} --output-prefix {{.outputPrefix}} --raw-output-data-prefix {{.rawOutputDataPrefix}} ' +
        '--checkpoint-path {{.checkpointOutputPrefix}} --prev-checkpoint {{.prevCheckpointPrefix}} ' +
        '--additional-distribution s3://aloft/bundles/b.tar.gz --module pipeline.js --task pipeline.score',
    );
    expect(container!.env.map(({ key, value }) => `${key}=${value}`)).toEqual(['A=1', 'B=2']);
    expect(container!.resources!.limits.map(({ value }) => value)).toEqual(['4', '2Gi']);
  });

  test('C-150: a dynamic task is told the image of the tasks that its graph will run', async () => {
    const grow = dynamic({ name: 'pipeline.grow', inputs: { n: t.int }, image: 'own:1', env: { A: '1' } }, () => ({}));
    const { tasks } = await serialize([grow as unknown as Entity], context);
    const { target } = tasks[0]!.spec.template!;
    const container = target?.$case === 'container' ? target.value : undefined;
    expect(container?.image).toBe('own:1');
    expect(container?.env).toMatchObject([
      { key: 'A', value: '1' },
      { key: 'FLYTE_INTERNAL_IMAGE', value: 'aloft/typescript:0.1.0' },
    ]);
  });

  test('C-160: nodes are n0, n1, … and bind what they were given, defaults and None included', async () => {
    const spec = await specOf(
      workflow({ name: 'chain', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => {
        const first = count({ n });
        const scored = score({ n: first.n });
        return { n: count({ n: scored.result.rank }, { after: [first], nodeId: 'last', retries: 1 }).n };
      }) as never,
    );
    expect(spec.template!.nodes.map(({ id, upstreamNodeIds }) => [id, upstreamNodeIds])).toEqual([
      ['n0', []],
      ['n1', ['n0']],
      ['last', ['n1', 'n0']],
    ]);
    expect(nodeOf(spec, 'n0').inputs[0]!.binding!.value).toMatchObject({
      $case: 'promise',
      value: { nodeId: '', var: 'n' },
    });
    expect(nodeOf(spec, 'n1').inputs.map((input) => input.var)).toEqual(['n', 'note', 'weight']);
    expect(nodeOf(spec, 'last').inputs[0]!.binding!.value).toMatchObject({
      $case: 'promise',
      value: { nodeId: 'n1', var: 'result', attrPath: [{ value: { $case: 'stringValue', value: 'rank' } }] },
    });
    expect(nodeOf(spec, 'last').metadata).toMatchObject({ retries: { retries: 1 }, name: 'pipeline.count' });
  });

  test('C-140: a map is an array node over the task itself, whose items have inputs of their own', async () => {
    const { workflows, tasks } = await serialize(
      [
        workflow(
          {
            name: 'mapped',
            inputs: { ns: t.list(t.int) },
            outputs: { all: t.list(t.struct({ value: t.float, rank: t.int })) },
          },
          ({ ns }) => ({
            all: map(score, { each: { n: ns }, same: { weight: 2 }, concurrency: 3 }).result,
          }),
        ) as never,
      ],
      context,
    );
    const node = nodeOf(workflows[0]!.spec, 'n0');
    const array = node.target?.$case === 'arrayNode' ? node.target.value : undefined;
    expect(array).toMatchObject({
      parallelismOption: { $case: 'parallelism', value: 3 },
      successCriteria: { $case: 'minSuccessRatio', value: 1 },
      boundInputs: ['weight', 'note'],
      executionMode: 0,
      dataMode: 1,
      isOriginalSubNodeInterface: true,
    });
    expect(array!.node!.target).toMatchObject({
      value: { reference: { $case: 'referenceId', value: { name: 'pipeline.score', version: 'v1' } } },
    });
    expect(tasks.map(({ id }) => id.name)).toEqual(['pipeline.score']);
  });

  test('C-120: a branch binds its operands by flytekit’s names and waits for what its cases take', async () => {
    const spec = await specOf(
      workflow({ name: 'branched', inputs: { n: t.int, limit: t.float }, outputs: { n: t.int } }, ({ n, limit }) => {
        const scored = score({ n });
        const other = count({ n });
        const chosen = when(and(gt(scored.result.value, limit), eq(n, 3)), () => count({ n: other.n }))
          .elseWhen(eq(n, 4), () => inner({ n }))
          .otherwiseFail('nothing fits');
        return { n: chosen.n };
      }) as never,
    );
    expect(spec.template!.nodes.map(({ id }) => id)).toEqual(['n0', 'n1', 'n2']);
    const branch = nodeOf(spec, 'n2');
    expect(branch.inputs.map((input) => input.var)).toEqual(['.limit', '.n', 'n0.result.value']);
    expect(branch.upstreamNodeIds).toEqual(['n0', 'n1']);
    const ifElse = branch.target?.$case === 'branchNode' ? branch.target.value.ifElse! : undefined;
    expect(ifElse!.case!.thenNode!.id).toBe('n3');
    expect(ifElse!.other[0]!.thenNode!.target!.$case).toBe('workflowNode');
    expect(ifElse!.default).toMatchObject({ $case: 'error', value: { failedNodeId: 'n2', message: 'nothing fits' } });
    expect(ifElse!.case!.condition!.expr!.$case).toBe('conjunction');
    expect(spec.subWorkflows.map((template) => template.id!.name)).toEqual(['pipeline.inner']);
  });

  test('C-130…C-132: gates', async () => {
    const spec = await specOf(
      workflow({ name: 'gated', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => {
        const approved = approve('looks right', count({ n }).n, { timeout: '1h' });
        const given = waitForSignal('how many', t.int);
        const pause = sleep('3s');
        return {
          n: when(eq(given, 1), () => count({ n: approved }, { after: [pause] })).otherwise(() => count({ n: given }))
            .n,
        };
      }) as never,
    );
    const condition = (id: string) => {
      const target = nodeOf(spec, id).target;
      return target?.$case === 'gateNode' ? target.value.condition : undefined;
    };
    expect(condition('n1')).toMatchObject({ $case: 'approve', value: { signalId: 'looks right' } });
    expect(nodeOf(spec, 'n1').metadata!.timeout).toMatchObject({ seconds: 3600n });
    expect(condition('n2')).toMatchObject({
      $case: 'signal',
      value: { signalId: 'how many', outputVariableName: 'value' },
    });
    expect(condition('n3')).toMatchObject({ $case: 'sleep', value: { duration: { seconds: 3n } } });
  });

  test('C-62: the failure node is fn0 and binds the error to None', async () => {
    const tell = task({ name: 'tell', inputs: { n: t.int, err: t.optional(t.error) } }, () => ({}));
    const spec = await specOf(
      workflow(
        {
          name: 'guarded',
          inputs: { n: t.int },
          outputs: { n: t.int },
          onFailure: 'finish-executable',
          failureNode: ({ n }, err) => tell({ n, err }),
        },
        ({ n }) => ({ n: count({ n }).n }),
      ) as never,
    );
    expect(spec.template!.metadata!.onFailure).toBe(1);
    expect(spec.template!.failureNode).toMatchObject({ id: 'fn0' });
    const err = spec.template!.failureNode!.inputs.find((input) => input.var === 'err')!.binding!.value!;
    expect(err).toMatchObject({ $case: 'scalar', value: { value: { $case: 'union' } } });
  });

  test('launch plans: the default one, defaults, fixed inputs, schedule and notifications; C-13: as a child', async () => {
    const plan = launchPlan(inner, {
      name: 'nightly',
      fixed: { n: 4 },
      schedule: { cron: '0 3 * * *' },
      notifications: [{ phases: ['FAILED'], slack: ['#alerts'] }],
      maxParallelism: 5,
    });
    const elsewhere = launchPlanReference({
      name: 'theirs',
      version: 'v9',
      project: 'aloft',
      inputs: { n: t.int },
      outputs: { n: t.int },
    });
    const foreign = taskReference({ name: 'their.task', version: 'v2', inputs: { n: t.int }, outputs: { n: t.int } });
    const outer = workflow({ name: 'outer', outputs: { n: t.int } }, () => ({
      n: foreign({ n: elsewhere({ n: plan().n }).n }).n,
    }));
    const { launchPlans, workflows, tasks } = await serialize([outer as never], context);
    expect(launchPlans.map(({ id }) => id.name)).toEqual(['pipeline.inner', 'outer', 'nightly']);
    const { spec } = launchPlans[2]!;
    expect(spec.fixedInputs!.literals['n']).toBeDefined();
    expect(spec.defaultInputs!.parameters).toEqual({});
    expect(spec.entityMetadata!.schedule!.ScheduleExpression).toMatchObject({
      $case: 'cronSchedule',
      value: { schedule: '0 3 * * *', offset: '' },
    });
    expect(spec.entityMetadata!.notifications[0]).toMatchObject({ phases: [6], type: { $case: 'slack' } });
    expect(spec.maxParallelism).toBe(5);
    const target = nodeOf(workflows.at(-1)!.spec, 'n1').target;
    expect(target).toMatchObject({
      value: { reference: { $case: 'launchplanRef', value: { project: 'aloft', name: 'theirs', version: 'v9' } } },
    });
    expect(tasks.map(({ id }) => id.name)).toEqual(['pipeline.count']);
  });

  test('the same definitions give the same bytes', async () => {
    const make = () =>
      workflow({ name: 'same', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => ({
        n: inner({ n: score({ n }).result.rank }).n,
      }));
    const bytes = async () => Buffer.from(WorkflowSpec.encode(await specOf(make() as never)).finish()).toString('hex');
    expect(await bytes()).toBe(await bytes());
  });

  test('two entities of one name are refused', async () => {
    const twin = task({ name: 'pipeline.count', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => ({ n }));
    await expect(serialize([count as never, twin as never], context)).rejects.toThrow(
      'Two different entities are called task pipeline.count',
    );
  });

  test('a call outside of a workflow is refused', () => {
    expect(() => count({ n: 1 })).toThrow('use its .local(inputs)');
  });

  test('mistakes in a body name the workflow, the input and what would be right', async () => {
    const cases: [() => unknown, string][] = [
      [() => workflow({ name: 'w', outputs: {} }, () => ({})), 'workflow w has no nodes'],
      [
        () => workflow({ name: 'w', inputs: { s: t.string } }, ({ s }) => (count({ n: s as never }), {})),
        "pipeline.count.n must be int, but input 's' is string",
      ],
      [
        () => workflow({ name: 'w' }, () => (count({ m: 1 } as never), {})),
        "pipeline.count has no input 'm'; it has n",
      ],
      [
        () => workflow({ name: 'w' }, () => (count({} as never), {})),
        'pipeline.count.n (int) is missing and has no default',
      ],
      [() => workflow({ name: 'w' }, () => (count({ n: count({ n: 1 }) } as never), {})), 'take one of them: .n'],
      [
        () =>
          workflow(
            { name: 'w', inputs: { n: t.int } },
            ({ n }) => (when(eq(n, 1), () => (count({ n }), count({ n }))), {}),
          ),
        'must have exactly one',
      ],
      [() => workflow({ name: 'w' }, (async () => (count({ n: 1 }), {})) as never), 'the body must not be async'],
      [
        () => workflow({ name: 'w' }, () => (count({ n: 1 }, { nodeId: 'a' }), count({ n: 1 }, { nodeId: 'a' }), {})),
        "two nodes have the id 'a'",
      ],
    ];
    for (const [make, message] of cases) await expect((async () => specOf(make() as never))()).rejects.toThrow(message);
  });
});
