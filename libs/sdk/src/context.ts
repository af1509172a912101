/** A page that a task makes for people: HTML sections, shown by clients as the task's deck. */
export interface Deck {
  /** Adds a section; `html` is taken as it is, so escape what comes from data. */
  add(title: string, html: string): void;
}

/** Progress of a task that survives its attempts: what one attempt saved, the next one may read (C-109). */
export interface Checkpoint {
  /** What the previous attempt saved last. */
  previous(): Promise<Uint8Array | undefined>;
  save(data: Uint8Array): Promise<void>;
}

/** What a task function may know about, and ask from, where it runs. */
export interface TaskContext {
  readonly execution: { readonly project: string; readonly domain: string; readonly name: string };
  /** Attempt number from 0. */
  readonly attempt: number;
  /** Index of the item when the task runs as part of a map. */
  readonly index?: number;
  /** Absolute path in this attempt's own temporary folder, which goes away with it: write output files there. */
  file(name: string): string;
  readonly deck: Deck;
  readonly checkpoint: Checkpoint;
  /** Value of a secret that the task asked for in `secrets`. */
  secret(key: string, group?: string): Promise<string>;
  /** Set when the attempt is being aborted. */
  readonly signal: AbortSignal;
}

/** The sections of a deck as one page. */
export class DeckPage implements Deck {
  readonly #sections: { title: string; html: string }[] = [];

  add(title: string, html: string): void {
    this.#sections.push({ title, html });
  }

  get isEmpty(): boolean {
    return this.#sections.length === 0;
  }

  render(): string {
    const sections = this.#sections.map(
      ({ title, html }) => `<section><h2>${escapeHtml(title)}</h2>\n${html}\n</section>`,
    );
    return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(this.#sections[0]?.title ?? 'Deck')}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 62rem; margin: 2rem auto; padding: 0 1.25rem; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .5rem; }
table { border-collapse: collapse; } th, td { padding: .3rem .8rem; border-bottom: 1px solid #dfe4ea; text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
svg, img { max-width: 100%; height: auto; }
</style>
</head>
<body>
${sections.join('\n')}
</body>
</html>
`;
  }
}

export function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"']/g,
    (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[character]!,
  );
}
