export { kubernetesConfigSchema, type KubernetesConfig } from './config.js';
export { createKubernetesBackend, type KubernetesSurroundings } from './create.js';
