import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A queue of SQS as far as JobEvents uses it: messages until they are deleted, each visible again after the time that is asked for. */
export class FakeQueue {
  readonly messages = new Map<string, { body: string; receives: number; hidden: boolean }>();
  private readonly server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const input = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, never>;
    const answer = await this.answer(String(request.headers['x-amz-target']).split('.')[1] ?? '', input);
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify(answer));
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  put(detail: Record<string, unknown>): void {
    const body = JSON.stringify({ source: 'aws.batch', 'detail-type': 'Batch Job State Change', detail });
    this.messages.set(`m${this.messages.size}-${Math.random()}`, { body, receives: 0, hidden: false });
  }

  private async answer(call: string, input: Record<string, never>): Promise<unknown> {
    if (call === 'ReceiveMessage') {
      for (let waited = 0; waited < 50; waited += 1) {
        const found = [...this.messages].filter(([, { hidden }]) => !hidden).slice(0, 10);
        if (found.length > 0)
          return {
            Messages: found.map(([id, message]) => {
              message.hidden = true;
              message.receives += 1;
              return {
                MessageId: id,
                ReceiptHandle: id,
                Body: message.body,
                MD5OfBody: createHash('md5').update(message.body).digest('hex'),
                Attributes: { ApproximateReceiveCount: String(message.receives) },
              };
            }),
          };
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return {};
    }
    if (call === 'ChangeMessageVisibility') {
      const message = this.messages.get(input['ReceiptHandle'] as unknown as string);
      if (message) setTimeout(() => (message.hidden = false), Number(input['VisibilityTimeout']) * 1_000);
      return {};
    }
    const entries = (input['Entries'] ?? []) as unknown as { ReceiptHandle: string }[];
    for (const { ReceiptHandle } of entries) this.messages.delete(ReceiptHandle);
    return { Successful: [], Failed: [] };
  }
}
