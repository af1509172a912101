export * from './aloft-error.js';
export * from './mapping.js';
