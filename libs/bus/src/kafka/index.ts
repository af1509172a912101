export { createKafkaBus, KafkaBus } from './kafka-bus.js';
export type { KafkaBusOptions } from './options.js';
export type { KafkaSasl } from './client/security.js';
export { mirrorGroup } from './progress-mirror.js';
