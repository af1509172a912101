/** Why an attempt has no place as Batch and its configuration are now; either may change. */
export class NoPlace {
  constructor(readonly reason: string) {}
}
