export { commandEnvelope, MemoryBus, type Delivery } from './memory-bus.js';
export { MemoryWorkStore } from './memory-work-store.js';
export { encodeLiterals, integer, integerType, launchOf, type LaunchOptions } from './launches.js';
export { describeBackendConformance } from './conformance.js';
export type { Behaviour, ConformanceOptions, ConformanceWorld } from './conformance-world.js';
export { shellScripts, writeShellFiles, type ShellBehaviour } from './shell-tasks.js';
export { leaveMark, markOf, ShellMarks } from './shell-marks.js';
export { errorOf, Told } from './told.js';
