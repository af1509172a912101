export { createLocalBlobStore, LocalBlobStore, type LocalBlobStoreOptions } from './local/local-blob-store.js';
export * from './port.js';
export { parseUri, toUri, type ObjectLocation } from './uri.js';
export { type Credentials } from './s3-endpoint/sigv4.js';
