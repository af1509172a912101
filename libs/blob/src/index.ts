export { createLocalBlobStore, LocalBlobStore, type LocalBlobStoreOptions } from './local/local-blob-store.js';
export { type LocalObjects, type StoredObject } from './local/local-objects.js';
export { followObject, type FollowObjectOptions, GrowingObject, type GrowingObjectOptions } from './growing-object.js';
export * from './port.js';
export { createS3Endpoint, S3Endpoint, type S3EndpointOptions } from './s3-endpoint/s3-endpoint.js';
export { type CredentialLookup } from './s3-endpoint/authentication.js';
export { type Credentials } from './s3-endpoint/sigv4.js';
export { parseUri, toUri, type ObjectLocation } from './uri.js';
