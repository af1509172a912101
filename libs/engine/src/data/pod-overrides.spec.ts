import { Resources_ResourceName as Name, TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { TaskNodeOverrides, type Node } from '@aloft/idl/flyteidl/core/workflow';
import { Behaviour, currentBehaviours } from '../behaviours.js';
import { array, closure, Driver, eachWay, INT, int, task, type DriverOptions } from '../testing/index.js';

type Overrides = Parameters<typeof TaskNodeOverrides.fromPartial>[0];

const cpu = (value: string) => ({ name: Name.CPU, value });
const gpu = (value: string) => ({ name: Name.GPU, value });
const target = {
  pod: { $case: 'k8sPod' as const, value: { podSpec: { containers: [{ name: 'primary', image: 'own' }] } } },
  container: { $case: 'container' as const, value: { image: 'own', resources: { requests: [cpu('1')] } } },
};
const overrides: Overrides = { resources: { requests: [cpu('2'), gpu('1')] }, containerImage: 'other' };

/** A node of the task, and an array of it, each with overrides. */
function driverOf(of: keyof typeof target, said: Overrides | undefined, options?: DriverOptions) {
  const with_ = (node: Node): Node => {
    if (node.target?.$case === 'taskNode') node.target.value.overrides = said && TaskNodeOverrides.fromPartial(said);
    return node;
  };
  const items = [int(1), int(2)];
  const made = closure({
    tasks: { t: { inputs: { a: INT }, outputs: { o: INT } } },
    nodes: [with_(task('n0', 't', { a: int(1) })), array('n1', with_(task('item', 't')), { a: items })],
  });
  const template = made.tasks[0]!.template!;
  template.target = TaskTemplate.fromPartial({ target: target[of] }).target;
  return new Driver(made, options);
}

const launchesOf = ({ launched }: Driver) => launched.map(({ template, overrides: said }) => ({ template, said }));

eachWay('what nodes of pod tasks override (S-27, C-180)', () => {
  it('goes with the launch, of a task and of each item of an array; the pod is as it was registered', () => {
    const launches = launchesOf(driverOf('pod', overrides));
    expect(launches).toHaveLength(3);
    for (const { template, said } of launches) {
      expect(said).toEqual(TaskNodeOverrides.fromPartial(overrides));
      expect(template.target).toMatchObject(target.pod);
    }
  });

  it('is resources and image alone; what else a node says is applied to the template', () => {
    const extendedResources = { gpuAccelerator: { device: 'nvidia-l4' } };
    const podTemplate = target.pod.value;
    for (const { template, said } of launchesOf(
      driverOf('container', { ...overrides, extendedResources, podTemplate }),
    )) {
      expect(said).toEqual(TaskNodeOverrides.fromPartial(overrides));
      expect(template).toMatchObject({ target: target.pod, extendedResources });
    }
    const [alone] = launchesOf(driverOf('pod', { extendedResources }));
    expect(alone?.said).toBeUndefined();
    expect(alone?.template).toMatchObject({ extendedResources });
  });

  it('is nothing without overrides, and for containers, whose template has it', () => {
    expect(launchesOf(driverOf('pod', undefined)).map(({ said }) => said)).toEqual([undefined, undefined, undefined]);
    for (const { template, said } of launchesOf(driverOf('container', overrides))) {
      expect(said).toBeUndefined();
      expect(template.target?.value).toMatchObject({ image: 'other', resources: { requests: [cpu('2'), gpu('1')] } });
    }
  });

  it('X-6: a rerun says of each resource, and of the image, what it says; the rest is the node’s', () => {
    const driver = driverOf('pod', { resources: { requests: [cpu('2'), gpu('1')] }, containerImage: 'other' });
    const rerun = (said: Overrides | undefined) =>
      driver.control('n0', {
        $case: 'rerun',
        value: { inputs: undefined, task: undefined, overrides: said && TaskNodeOverrides.fromPartial(said) },
      });
    driver.succeed('n0', { o: int(1) });
    rerun({ resources: { requests: [cpu('4')], limits: [cpu('8')] } });
    const merged = { requests: [gpu('1'), cpu('4')], limits: [cpu('8')] };
    expect(driver.launchOf('n0').overrides).toEqual(
      TaskNodeOverrides.fromPartial({ containerImage: 'other', resources: merged }),
    );
    // A later one keeps what it doesn't name.
    rerun(undefined);
    expect(driver.launchOf('n0').overrides?.resources).toMatchObject(merged);
    rerun({ containerImage: 'newest' });
    expect(driver.launchOf('n0').overrides?.containerImage).toBe('newest');
  });

  it('is not told in runs that began before it was', () => {
    const behaviours = currentBehaviours & ~BigInt(Behaviour.OverridesPods);
    for (const { said } of launchesOf(driverOf('pod', overrides, { behaviours }))) expect(said).toBeUndefined();
  });

  it('X-6: reruns with other resources are refused in runs that began before it was told, of pods alone', () => {
    const behaviours = currentBehaviours & ~BigInt(Behaviour.OverridesPods);
    const refusals = (['pod', 'container'] as const).map((of) => {
      const driver = driverOf(of, undefined, { behaviours });
      driver.succeed('n0', { o: int(1) });
      const said = TaskNodeOverrides.fromPartial({ resources: { requests: [cpu('4')] } });
      driver.control('n0', { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: said } });
      return driver.revisions().map(({ refused }) => refused);
    });
    expect(refusals).toEqual([[expect.stringContaining('its run began before')], ['']]);
  });
});
