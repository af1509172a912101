import type { ClaimedDelivery } from '../deliveries/deliveries.repository.js';

/** Sends one delivery; resolves once the other side has accepted it. */
export interface ChannelSender {
  send(delivery: ClaimedDelivery, signal: AbortSignal): Promise<void>;
}

/** A failure that another attempt will not mend, or that tells when to try again. */
export class DeliveryError extends Error {
  constructor(
    message: string,
    readonly options: { permanent: boolean; retryAfterMs?: number },
  ) {
    super(message);
    this.name = 'DeliveryError';
  }
}
