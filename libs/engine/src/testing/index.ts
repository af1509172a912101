export * from './closures.js';
export * from './driver.js';
export * from './memory-store.js';
export * from './each-way.js';
export * from './oracle.js';
export * from './past.js';
export * from './random-flow.js';
export * from './simulate.js';
