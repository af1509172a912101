/**
 * An answer that is encoded already: what is stored as it is sent needs no decoding on its way through. `bytes`: a whole message of the rpc's type, whichever
 * way it is asked for (REST decodes it).
 */
export class Encoded<T> {
  /** For the compiler only: an answer of one rpc is none of another's. */
  declare readonly message: T;

  constructor(readonly bytes: Buffer) {}
}
