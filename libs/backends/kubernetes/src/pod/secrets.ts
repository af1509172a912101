import { invalidArgument } from '@aloft/errors';
import { type Secret, Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import type { V1EnvVar, V1Volume, V1VolumeMount } from '@kubernetes/client-node';

const folder = '/etc/flyte/secrets';
const dnsName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export interface SecretMounts {
  env: V1EnvVar[];
  volumes: V1Volume[];
  mounts: V1VolumeMount[];
}

/**
 * Secrets of a task (C-175) from the Kubernetes Secret of its namespace that is named as their group, by key, under the names that
 * flytekit reads. Their values never pass through the platform.
 * @throws INVALID_ARGUMENT for a group that no Secret can have
 */
export function secretMounts(secrets: readonly Secret[]): SecretMounts {
  const result: SecretMounts = { env: [], volumes: [], mounts: [] };
  const env = new Map<string, V1EnvVar>();
  const files = new Map<string, Set<string>>();
  for (const { group, key, mountRequirement, envVar } of secrets) {
    if (!dnsName.test(group))
      throw invalidArgument(
        `secret "${group}/${key}": its group names the Kubernetes Secret that holds it, so it must consist of lower-case letters, digits, "-" and "."`,
      );
    if (mountRequirement === Secret_MountType.FILE) {
      const path = `${folder}/${group}`;
      files.set(group, (files.get(group) ?? new Set()).add(key));
      env.set('FLYTE_SECRETS_DEFAULT_DIR', { name: 'FLYTE_SECRETS_DEFAULT_DIR', value: folder });
      env.set('FLYTE_SECRETS_FILE_PREFIX', { name: 'FLYTE_SECRETS_FILE_PREFIX', value: '' });
      if (envVar) env.set(envVar, { name: envVar, value: `${path}/${key.toLowerCase()}` });
    } else {
      const valueFrom = { secretKeyRef: { name: group, key } };
      for (const name of [`_FSEC_${group}_${key}`.toUpperCase().replace(/[^A-Z0-9_]/g, '_'), envVar])
        if (name) env.set(name, { name, valueFrom });
    }
  }
  for (const [group, keys] of files) {
    const name = `secret-${result.volumes.length}`;
    const items = [...keys].map((key) => ({ key, path: key.toLowerCase() }));
    result.volumes.push({ name, secret: { secretName: group, items } });
    result.mounts.push({ name, mountPath: `${folder}/${group}`, readOnly: true });
  }
  result.env = [...env.values()];
  return result;
}
