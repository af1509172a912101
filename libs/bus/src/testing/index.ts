export * from './test-bus.js';
