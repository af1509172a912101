import type { AwsBatchOptions } from '../options.js';

/** Whether a job may have this role: the default, or one of those that are allowed by their ARN or its beginning. */
export const isAllowedRole = (role: string, roles: AwsBatchOptions['roles']): boolean =>
  role === roles.default ||
  roles.allowed.some((pattern) => (pattern.endsWith('*') ? role.startsWith(pattern.slice(0, -1)) : pattern === role));

/** For people. */
export const namesOfRoles = (roles: AwsBatchOptions['roles']): string =>
  [...(roles.default === undefined ? [] : [roles.default]), ...roles.allowed].join(', ') || 'none';
