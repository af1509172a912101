import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthService,
  type HealthServer,
} from '@aloft/idl/grpc/health/v1/health';
import type { HealthRegistry } from '@aloft/telemetry';
import { status } from '@grpc/grpc-js';

/** The name under which Flyte's own probes ask. */
const flyteName = 'flyteadmin';

/** grpc.health.v1: all services of a process are ready or not together. */
export function healthService(
  health: HealthRegistry,
  services: () => readonly string[],
): [typeof HealthService, HealthServer] {
  const known = (service: string) => service === '' || service === flyteName || services().includes(service);
  return [
    HealthService,
    {
      check: (call, callback) => {
        const { service } = call.request;
        if (!known(service)) {
          callback({
            code: status.NOT_FOUND,
            details: `no service "${service}" here; there are ${services().join(', ')}`,
          });
          return;
        }
        health.ready().then(
          ({ ok }) => callback(null, { status: ok ? ServingStatus.SERVING : ServingStatus.NOT_SERVING }),
          (error: unknown) => callback({ code: status.INTERNAL, details: String(error) }),
        );
      },
      watch: (call) => {
        if (!known(call.request.service)) {
          call.write({ status: ServingStatus.SERVICE_UNKNOWN });
          return;
        }
        let last: ServingStatus | undefined;
        const tell = () => {
          const now = health.isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
          if (now !== last) call.write({ status: now });
          last = now;
        };
        tell();
        const forget = health.onChange(tell);
        call.on('cancelled', forget);
      },
    },
  ];
}
