export * from './test-bus.js';
export * from './memory-broker.js';
export * from './memory-bus.js';
