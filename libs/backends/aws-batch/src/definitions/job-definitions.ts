import type { BatchCalls } from '../client/batch-calls.js';
import type { DefinitionNeed } from './definition-need.js';

/** Definitions known of this process at most; further ones are looked up again. */
const kept = 5_000;

/**
 * Registers each definition once: what another process or an earlier one has registered is found by its name. Two that begin at the same moment may
 * register two revisions of the same, which does no harm.
 */
export class JobDefinitions {
  private readonly arns = new Map<string, Promise<string>>();

  constructor(private readonly calls: Pick<BatchCalls, 'definitions' | 'register'>) {}

  /** ARN of the active revision. */
  arnOf(need: DefinitionNeed): Promise<string> {
    const known = this.arns.get(need.name);
    if (known) return known;
    const found = this.findOrRegister(need);
    this.arns.set(need.name, found);
    found.catch(() => this.arns.delete(need.name));
    for (const oldest of this.arns.keys()) {
      if (this.arns.size <= kept) break;
      this.arns.delete(oldest);
    }
    return found;
  }

  /** It is there no more, as a submit said: whoever needs it next looks again. */
  forget(need: DefinitionNeed): void {
    this.arns.delete(need.name);
  }

  private async findOrRegister({ name, input }: DefinitionNeed): Promise<string> {
    const active = await this.calls.definitions(name);
    const latest = active.reduce<(typeof active)[number] | undefined>(
      (best, each) => ((each.revision ?? 0) > (best?.revision ?? -1) ? each : best),
      undefined,
    );
    return latest?.jobDefinitionArn ?? (await this.calls.register(input));
  }
}
