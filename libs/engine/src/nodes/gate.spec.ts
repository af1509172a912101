import { BOOL, bool, closure, Driver, eachWay, gate, INT, int, task } from '../testing/index.js';

const tasks = { t: { inputs: { a: INT }, outputs: { o: INT } } };
const approve = gate('g', { $case: 'approve', value: { signalId: 's' } }, { v: 'in.x' });
const signal = gate('g', { $case: 'signal', value: { signalId: 's', type: INT, outputVariableName: 'v' } });
const x = { inputs: { x: int(7) } };

eachWay('a gate', () => {
  const approval = () =>
    new Driver(
      closure({ tasks, inputs: { x: INT }, nodes: [approve, task('n1', 't', { a: 'g.v' })], outputs: { r: 'n1.o' } }),
      x,
    );

  it('C-130: approval passes the inputs on', () => {
    const driver = approval();
    const reached = driver.effects.find(
      (effect) => effect.kind === 'event' && effect.event.event?.$case === 'gateReached',
    );
    expect(reached).toMatchObject({ event: { event: { value: { signalId: 's', nodeId: 'g', type: BOOL } } } });
    expect(driver.run.explain('g')).toMatchObject({ state: 'Gated', wait: { detail: 'waiting for approval "s"' } });
    driver.signal('s', bool(true));
    driver.succeed('n1', { o: int(1) });
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('C-130: rejection fails the run', () => {
    const driver = approval();
    driver.signal('s', bool(false));
    expect(driver.ended()?.error).toMatchObject({ code: 'ReceivedRejectSignal' });
  });

  it('C-130: an approval that is no boolean fails the gate', () => {
    const driver = approval();
    driver.signal('s', int(1));
    expect(driver.ended()?.error).toMatchObject({ code: 'InvalidSignal' });
  });

  it('C-131, C-133: a signal wakes the run at once, with its value', () => {
    const driver = new Driver(closure({ tasks, nodes: [signal, task('n1', 't', { a: 'g.v' })] }));
    driver.signal('s', int(3));
    expect(driver.launchOf('n1').inputs).toMatchObject({ value: { value: { literals: { a: int(3) } } } });
  });

  it('C-131: a signal may come before its gate; the last before it counts, the first taken wins', () => {
    const driver = new Driver(
      closure({
        tasks,
        inputs: { x: INT },
        nodes: [task('n0', 't', { a: 'in.x' }), { ...signal, upstreamNodeIds: ['n0'] }],
        outputs: { r: 'g.v' },
      }),
      x,
    );
    expect(driver.signal('s', int(1), 1n)).toBe(true);
    expect(driver.signal('s', int(2), 2n)).toBe(true);
    expect(driver.signal('s', int(1), 1n)).toBe(false);
    driver.succeed('n0', { o: int(0) });
    expect(driver.signal('s', int(9), 3n)).toBe(false);
    expect(driver.outputs()).toEqual({ r: 2 });
  });

  it('C-131: two gates of one signal take the same value', () => {
    const again = gate(
      'h',
      { $case: 'signal', value: { signalId: 's', type: INT, outputVariableName: 'v' } },
      {},
      { after: ['n1'] },
    );
    const driver = new Driver(
      closure({ tasks, nodes: [signal, task('n1', 't', { a: 'g.v' }), again], outputs: { r: 'h.v' } }),
    );
    driver.signal('s', int(1), 1n);
    expect(driver.signal('s', int(2), 2n)).toBe(false);
    driver.succeed('n1', { o: int(0) });
    expect(driver.outputs()).toEqual({ r: 1 });
  });

  it('C-132: sleeps from the start of its attempt', () => {
    const driver = new Driver(
      closure({ nodes: [gate('g', { $case: 'sleep', value: { duration: { seconds: 5n, nanos: 0 } } })] }),
    );
    driver.advance(4);
    expect(driver.phase()).toBe('RUNNING');
    driver.advance(1);
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('C-133: the node timeout applies', () => {
    const timed = gate(
      'g',
      { $case: 'approve', value: { signalId: 's' } },
      {},
      {
        metadata: { timeout: { seconds: 10n, nanos: 0 } },
      },
    );
    const driver = new Driver(closure({ nodes: [timed] }));
    driver.advance(10);
    expect(driver.ended()?.error).toMatchObject({ code: 'RetriesExhausted|TimeoutExpired' });
    expect(driver.timers.size).toBe(0);
  });
});
