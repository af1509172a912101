import { createTransport, type Transporter } from 'nodemailer';
import type { NotifierConfig } from '../config.js';
import type { ClaimedDelivery } from '../deliveries/deliveries.repository.js';
import { readSecret } from '../secrets.js';
import { DeliveryError, type ChannelSender } from './channel.js';

type EmailConfig = Pick<NotifierConfig, 'smtp' | 'sender' | 'templates' | 'timeoutMs'>;

/** E-mail over SMTP; each recipient gets a message of its own. */
export class EmailSender implements ChannelSender {
  constructor(private readonly config: EmailConfig) {}

  async send(delivery: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    const { sender, templates } = this.config;
    const transport = await this.connect();
    const abort = () => transport.close();
    signal.addEventListener('abort', abort);
    try {
      await transport.sendMail({
        from: sender,
        to: { name: '', address: delivery.recipient },
        subject: delivery.subject,
        [templates.format]: delivery.body,
        // The same for every attempt: a server or mailbox that has it already can tell.
        messageId: `<${delivery.id}@aloft>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
        disableFileAccess: true,
        disableUrlAccess: true,
      });
    } catch (error) {
      const { responseCode, message } = error as { responseCode?: number; message: string };
      // 5xx is the server's last word, 4xx and lost connections are not; so is a refused login, which may be mended.
      const permanent =
        responseCode !== undefined && responseCode >= 500 && responseCode !== 535 && responseCode !== 530;
      throw new DeliveryError(`e-mail to ${delivery.recipient}: ${message}`, { permanent });
    } finally {
      signal.removeEventListener('abort', abort);
      transport.close();
    }
  }

  private async connect(): Promise<Transporter> {
    const { smtp, timeoutMs } = this.config;
    if (!smtp) throw new DeliveryError('no SMTP server is configured (notifier.smtp.host)', { permanent: true });
    const { host, port, secure, user, password } = smtp;
    return createTransport({
      host,
      port,
      secure,
      auth: user === undefined ? undefined : { user, pass: password ? await readSecret(password) : '' },
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
    });
  }
}
