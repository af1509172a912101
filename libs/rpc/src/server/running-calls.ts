import { unavailable, type AloftError } from '@aloft/errors';

/** The calls that a server is answering, so that those which outlast a shutdown's grace are told so. */
export class RunningCalls {
  private readonly cuts = new Set<(error: AloftError) => void>();

  /** `cut` answers the call with an error. The result says, once, that the call has not been answered yet. */
  begin(cut: (error: AloftError) => void): () => boolean {
    const own = (error: AloftError): void => cut(error);
    this.cuts.add(own);
    return () => this.cuts.delete(own);
  }

  /** UNAVAILABLE is what clients try again elsewhere; a connection that ends under a call looks as if its caller had cancelled. */
  cutAll(): number {
    const cuts = [...this.cuts];
    this.cuts.clear();
    for (const cut of cuts) cut(unavailable('this server shuts down before it could answer: call again'));
    return cuts.length;
  }
}
