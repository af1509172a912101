/* eslint-disable @nx/enforce-module-boundaries -- apps export no configuration of their processes */
import type { z } from 'zod';
import { adminServiceConfig } from '../../apps/admin/src/service-config.js';
import { backendsServiceConfig } from '../../apps/backends/src/service-config.js';
import { catalogServiceConfig } from '../../apps/catalog/src/service-config.js';
import { notifierServiceConfig } from '../../apps/notifier/src/service-config.js';
import { propellerServiceConfig } from '../../apps/propeller/src/service-config.js';

/** The configuration that each service accepts. */
export const schemas: Record<string, z.ZodObject> = {
  admin: adminServiceConfig,
  backends: backendsServiceConfig,
  catalog: catalogServiceConfig,
  notifier: notifierServiceConfig,
  propeller: propellerServiceConfig,
};

export const serviceNames = Object.keys(schemas);

/** Paths of all leaves, so that a setting which no schema knows (and zod drops) is seen. */
export function leaves(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
}
