/** Cuts a stream of UTF-8 into its lines; `end` returns what came behind the last of them. */
export class Lines {
  private parts: Buffer[] = [];

  constructor(private readonly onLine: (line: string) => void) {}

  add(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      this.parts.push(chunk.subarray(from, at));
      const line = this.end();
      from = at + 1;
      if (line !== '') this.onLine(line);
    }
    if (from < chunk.length) this.parts.push(chunk.subarray(from));
  }

  end(): string {
    const [only] = this.parts;
    const line = this.parts.length === 1 && only ? only.toString('utf8') : Buffer.concat(this.parts).toString('utf8');
    this.parts = [];
    return line;
  }
}
