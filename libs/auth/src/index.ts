export * from './policy.js';
export * from './principal.js';
export * from './resource-of.js';
