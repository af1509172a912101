/** Who makes a call, as far as its credentials prove it. */
export interface Principal {
  /** Stable id: a user's subject, a service's client id, or `''` for nobody in particular. */
  subject: string;
  kind: 'anonymous' | 'user' | 'service';
  name?: string;
  email?: string;
  /** OAuth scopes, as granted. */
  scopes: readonly string[];
}

/** The caller while no authentication is configured. */
export const anonymous: Principal = Object.freeze({ subject: '', kind: 'anonymous', scopes: Object.freeze([]) });

/** What reads credentials from a call's headers (lower-case names). Throws UNAUTHENTICATED for bad ones. */
export interface Authenticator {
  authenticate(header: (name: string) => string | undefined): Principal | Promise<Principal>;
}

export const anonymousAuthenticator: Authenticator = { authenticate: () => anonymous };
