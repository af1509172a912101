/** Which attempt has which device; the host sees to it that no more are asked for than there are. */
export class GpuPool {
  private readonly holders = new Map<string, string[]>();

  constructor(private readonly devices: readonly string[]) {}

  take(id: string, count: number): readonly string[] {
    const held = this.holders.get(id);
    if (held) return held;
    const taken = new Set([...this.holders.values()].flat());
    const given = this.devices.filter((device) => !taken.has(device)).slice(0, count);
    if (given.length > 0) this.holders.set(id, given);
    return given;
  }

  /** For an attempt found running after a restart. */
  reclaim(id: string, devices: readonly string[]): void {
    if (devices.length > 0) this.holders.set(id, [...devices]);
  }

  release(id: string): void {
    this.holders.delete(id);
  }
}
