import type { AloftError } from '@aloft/errors';
import type { Route } from '@aloft/idl/aloft/v1/routing';

/** Where an attempt goes, or why it can go nowhere: the error of the attempt. */
export type Routed = { route: Route; refused?: undefined } | { route?: undefined; refused: AloftError };
