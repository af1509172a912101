export { startCluster, type Kube } from './kube.js';
export { ClusterClient } from '../cluster/client.js';
export { Credentials } from '../cluster/credentials.js';
export { Informer } from '../cluster/informer.js';
export { type ClusterObject, pods } from '../cluster/resource.js';
