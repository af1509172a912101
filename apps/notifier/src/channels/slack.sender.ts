import type { SecretReference } from '../config.js';
import type { ClaimedDelivery } from '../deliveries/deliveries.repository.js';
import { readSecret } from '../secrets.js';
import { DeliveryError, type ChannelSender } from './channel.js';

/** Slack's incoming webhooks. */
export class SlackSender implements ChannelSender {
  constructor(private readonly webhooks: Readonly<Record<string, SecretReference>>) {}

  async send({ recipient, subject, body }: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    const reference = Object.hasOwn(this.webhooks, recipient) ? this.webhooks[recipient] : undefined;
    if (!reference)
      throw new DeliveryError(`there is no webhook "${recipient}" in notifier.slack.webhooks`, { permanent: true });
    const url = await readSecret(reference);
    let response: Response;
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          text: subject,
          blocks: [{ type: 'section', text: { type: 'mrkdwn', text: body.slice(0, 3000) } }],
        }),
        signal,
        redirect: 'error',
      });
    } catch (error) {
      // Not the error's own text: it may hold the URL, which is the secret.
      throw new DeliveryError(`Slack webhook "${recipient}" cannot be reached${causeCode(error)}`, {
        permanent: false,
      });
    }
    const answer = (await response.text()).slice(0, 200);
    if (response.ok) return;
    const retryAfter = Number(response.headers.get('retry-after'));
    throw new DeliveryError(`Slack webhook "${recipient}" answered ${response.status}: ${answer}`, {
      permanent: response.status < 500 && response.status !== 429 && response.status !== 408,
      retryAfterMs: retryAfter > 0 ? retryAfter * 1000 : undefined,
    });
  }
}

function causeCode(error: unknown): string {
  const { cause, name } = error as { cause?: { code?: string }; name?: string };
  const code = cause?.code ?? (name === 'TimeoutError' || name === 'AbortError' ? 'no answer in time' : undefined);
  return code === undefined ? '' : ` (${code})`;
}
