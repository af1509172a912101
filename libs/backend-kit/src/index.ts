export * from './contract.js';
export * from './module.js';
export { AttemptQueue, type Queued, type QueueOptions } from './capacity/attempt-queue.js';
export {
  formatBytes,
  limitsOf,
  parseQuantity,
  requestOf,
  type ResourceLimits,
  type ResourceRequest,
} from './capacity/quantity.js';
export {
  maxInlineBytes,
  nothingWritten,
  outcomeUris,
  readOutcome,
  type OutcomeOptions,
} from './outcome/read-outcome.js';
export { attemptVariables, checkLogTemplate, logLinks, type LogTemplate } from './log-links/log-links.js';
export { storeInputs } from './inputs/stored-inputs.js';
export { cannotCollect, collectData, type CollectedFile } from './raw-container/collect-data.js';
export { dataPlaceOf, type DataPlace } from './raw-container/data-place.js';
export { placeData } from './raw-container/place-data.js';
export { outputLink } from './outcome/output-link.js';
export { withCheckpoint } from './outcome/saved-checkpoint.js';
export { clip, failure, failureOf, isTerminal, type FailureFields } from './outcome/phases.js';
export { timestampOf } from './outcome/timestamp.js';
export { attemptKey, executionOf } from './host/attempt-key.js';
export { BackendHost } from './host/backend-host.js';
export type { BackendHostOptions } from './host/host-options.js';
export { backendMigrations } from './host/migrations.js';
export { PostgresWorkStore } from './host/postgres-work-store.js';
export { ReportSender, type ReportSenderOptions } from './host/report-sender.js';
export {
  type HostChannel,
  type HostMessage,
  type HostNote,
  PostgresHostChannel,
  type Room,
} from './host/host-channel.js';
export type { Fence, FinishedBatch, Holder, LeaseState, Memory, WorkRow, WorkStore } from './host/work-store.js';
export {
  defaultLimits,
  type Asked,
  type Created,
  type Launch,
  type WebApi,
  type WebApiLimits,
} from './web-api/contract.js';
export { WebApiBackend } from './web-api/web-api-backend.js';
