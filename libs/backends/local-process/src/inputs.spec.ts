import { launchOf } from '@aloft/backend-kit/testing';
import { readsInputs } from './inputs.js';

describe('inputs.pb', () => {
  const inputsUri = 's3://aloft/metadata/propeller/p-d-run/n0/data/inputs.pb';
  const launch = { ...launchOf({ name: 'run-n0-0' }), inputsUri };
  it.each([
    ['as a URI', ['program', inputsUri], {}, true],
    ['as a path', ['program', '--inputs=/blobs/aloft/metadata/propeller/p-d-run/n0/data/inputs.pb'], {}, true],
    [
      'by the folder that its outputs are in',
      ['program', '/blobs/aloft/metadata/propeller/p-d-run/n0/data/0'],
      {},
      true,
    ],
    ['in the environment', ['program'], { INPUTS: inputsUri }, true],
    ['by nothing', ['sleep', '2'], { HOME: '/root' }, false],
  ])('is written where the process is told of it: %s', (_how, argv, env, expected) =>
    expect(readsInputs(launch, argv, env)).toBe(expected),
  );

  it('is not written where there is none', () =>
    expect(readsInputs({ ...launch, inputsUri: '' }, ['sleep', '2'], {})).toBe(false));
});
