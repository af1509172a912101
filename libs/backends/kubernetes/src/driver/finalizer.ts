import type { ClusterObject } from '../cluster/resource.js';

/** What keeps a pod that somebody deletes until its end was seen and written down (0131). */
export const finalizer = 'aloft.dev/attempt';

/** Whether it stays until it is let go of, whoever deletes it. */
export const isHeld = ({ metadata }: ClusterObject): boolean => metadata?.finalizers?.includes(finalizer) ?? false;
