import { failedPrecondition } from '@aloft/errors';
import type { ConnectionOptions } from 'node:tls';
import type { Security } from './kafkajs.js';

export interface KafkaSasl {
  /** `oauthbearer` needs `token`; `aws-iam` (MSK) takes `region` and AWS' usual chain of credentials. */
  mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'aws-iam' | 'oauthbearer';
  username?: string;
  password?: string;
  region?: string;
  /** Gives a valid bearer token; asked for each connection, and again before the broker's session ends. */
  token?: () => Promise<string>;
}

/** TLS and login as the wire takes them. FAILED_PRECONDITION names what is missing. */
export function securityOf(tls: ConnectionOptions | true | undefined, sasl: KafkaSasl | undefined): Security {
  return { tls: tls === true ? {} : tls, sasl: sasl && login(sasl) };
}

function login(sasl: KafkaSasl): Security['sasl'] {
  const { mechanism, username, password } = sasl;
  if (mechanism === 'aws-iam') return { mechanism: 'oauthbearer', oauthBearerProvider: mskToken(sasl) };
  if (mechanism === 'oauthbearer') {
    const { token } = sasl;
    if (!token) throw failedPrecondition('SASL OAUTHBEARER needs a provider of tokens');
    return { mechanism, oauthBearerProvider: async () => ({ value: await token() }) };
  }
  if (!username || password === undefined)
    throw failedPrecondition(`SASL ${mechanism.toUpperCase()} needs bus.kafka.sasl.username and .password`);
  return { mechanism, username, password };
}

/** Signs as IAM does for MSK; the library is loaded only here. */
function mskToken({ region, token }: KafkaSasl): () => Promise<{ value: string }> {
  if (token) return async () => ({ value: await token() });
  if (!region) throw failedPrecondition('SASL with aws-iam needs bus.kafka.sasl.region');
  return async () => {
    const { generateAuthToken } = await import('aws-msk-iam-sasl-signer-js');
    return { value: (await generateAuthToken({ region })).token };
  };
}
