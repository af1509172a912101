/* eslint-disable @nx/enforce-module-boundaries -- what the code calls its groups and topics is no part of any interface */
export { eventsTopic } from '../../apps/admin/src/projection/decode-events.js';
export { projectionGroup } from '../../apps/admin/src/projection/projection.service.js';
export { topics } from '../../apps/propeller/src/events/outgoing.js';
export { propellerGroup } from '../../apps/propeller/src/propeller.js';
export { mirrorGroup } from '../../libs/bus/src/kafka/progress-mirror.js';
