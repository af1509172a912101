import { readFileSync } from 'node:fs';

/** One process of the platform under test, as its launcher wrote it down. */
export interface ServiceProcess {
  name: 'admin' | 'catalog' | 'propeller' | 'notifier' | 'backends';
  replica: number;
  pid: number;
  /** `http://host:port` of /readyz and /metrics. */
  http: string;
  /** `host:port`, of services that answer calls. */
  grpc?: string;
  log: string;
}

export interface Topology {
  front: { grpc: string; http: string };
  services: ServiceProcess[];
}

/** The running distributed platform that tools/integration.mjs started for this suite. */
export function topology(): Topology {
  const path = process.env['ALOFT_TOPOLOGY'];
  if (path === undefined) throw new Error('ALOFT_TOPOLOGY is not set: run npm run test:integration -- distributed');
  return JSON.parse(readFileSync(path, 'utf8')) as Topology;
}

/** All replicas of one service now. */
export function replicas(name: ServiceProcess['name']): ServiceProcess[] {
  return topology().services.filter((service) => service.name === name);
}
