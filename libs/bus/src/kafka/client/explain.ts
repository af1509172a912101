import { AloftError, unavailable } from '@aloft/errors';
import { ConnectionClosedError, nameOf, type Address, type LinkOptions } from './kafkajs.js';

/** A connection that can't come about however long one waits: wrong credentials, a certificate nobody trusts. */
export class RefusedError extends AloftError {
  constructor(code: 'UNAUTHENTICATED' | 'FAILED_PRECONDITION' | 'PERMISSION_DENIED', message: string, cause?: unknown) {
    super(code, message, { cause });
    this.name = 'RefusedError';
  }
}

const certificateCodes =
  /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS_CERT_ALTNAME_INVALID|self.signed certificate|unable to verify/i;

/** What a failed attempt to connect means, and how to mend it. */
export function explain(error: unknown, address: Address, options: LinkOptions): AloftError {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const { code = '', type = '' } = thrown as { code?: string; type?: string };
  const text = `${code} ${type} ${thrown.message}`;
  const where = `Kafka at ${nameOf(address)}`;
  const user = options.sasl && 'username' in options.sasl ? ` of user "${options.sasl.username}"` : '';
  const mechanism = options.sasl?.mechanism.toUpperCase();
  if (thrown instanceof AloftError) return thrown;
  if (/mechanism is not supported|UNSUPPORTED_SASL_MECHANISM|mechanism.*not enabled/i.test(text))
    return new RefusedError(
      'FAILED_PRECONDITION',
      `${where} does not take SASL ${mechanism}: set bus.kafka.sasl.mechanism to one that this listener has enabled`,
      error,
    );
  if (thrown.name === 'KafkaJSSASLAuthenticationError' || /SASL_AUTHENTICATION_FAILED|ILLEGAL_SASL_STATE/.test(text))
    return new RefusedError(
      'UNAUTHENTICATED',
      `${where} refused the credentials${user} (SASL ${mechanism}): ${thrown.message}. Check bus.kafka.sasl ` +
        '(username, password, mechanism), and that the user exists on this cluster',
      error,
    );
  if (certificateCodes.test(text))
    return new RefusedError(
      'FAILED_PRECONDITION',
      `${where} shows a certificate that is not trusted (${thrown.message}): name the authority that signed it in ` +
        'bus.kafka.tls.caFile, and connect by a host name that stands in the certificate',
      error,
    );
  if (/wrong version number|packet length too long|EPROTO|tlsv1|ssl3_|before secure TLS connection/i.test(text))
    return unavailable(
      `${where} does not speak TLS on this port (${thrown.message}): use its TLS listener, or set ` +
        'bus.kafka.tls.enabled to false',
      { cause: error },
    );
  if (/ENOTFOUND|EAI_AGAIN/.test(text))
    return unavailable(
      `the host name "${address.host}" is not known (${code || thrown.message}): check bus.kafka.brokers`,
      { cause: error },
    );
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/.test(text))
    return unavailable(
      `nothing listens at ${nameOf(address)} (${code || thrown.message}): check host and port in bus.kafka.brokers, and ` +
        'that the broker runs',
      { cause: error },
    );
  if (
    thrown instanceof ConnectionClosedError ||
    /ECONNRESET|EPIPE|Closed connection|closed the connection/i.test(text)
  ) {
    const ways = [
      ...(options.tls ? [] : ['it wants TLS (bus.kafka.tls.enabled)']),
      ...(options.sasl ? [] : ['it wants a login (bus.kafka.sasl)']),
      // It says so only to clients that ask once more, and kafkajs does not.
      ...(options.sasl?.mechanism === 'oauthbearer'
        ? ['it refused the token (expired, or without the right to connect: for MSK kafka-cluster:Connect)']
        : []),
      'it is starting or stopping',
    ];
    return unavailable(`${where} closed the connection before it answered: ${ways.join(', or ')}`, { cause: error });
  }
  return unavailable(`${where} could not be reached: ${thrown.message}`, { cause: error });
}
