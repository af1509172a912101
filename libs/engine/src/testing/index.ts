export * from './closures.js';
export * from './driver.js';
export * from './memory-store.js';
export * from './each-way.js';
