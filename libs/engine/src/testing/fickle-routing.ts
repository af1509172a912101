import { Routing } from '@aloft/idl/aloft/v1/routing';

/** Sends the attempts of one node to different places: what an attempt is told to end by has to know which. */
export const fickleRouting = Routing.fromPartial({
  rules: [
    { name: 'spot', when: { interruptible: true }, then: { backend: 'spot' } },
    { name: 'large', when: { memory: { atLeast: 2n * 2n ** 30n } }, then: { backend: 'large' } },
    { name: 'odd', when: { tasks: ['*1', '*3', '*5', '*7'] }, then: { backend: 'odd' } },
  ],
  defaultBackend: 'local',
  backends: ['local', 'spot', 'large', 'odd'],
});

/** The same, where some of the places have dependencies between their jobs (S-5). */
export const nativeRouting = Routing.fromPartial({ ...fickleRouting, nativeDependencies: ['local', 'spot', 'odd'] });
