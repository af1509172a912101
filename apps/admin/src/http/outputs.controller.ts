import { invalidArgument } from '@aloft/errors';
import { Controller, Get, Req, Res, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { InProcessCalls, sendError, sendStream } from './in-process-calls.js';

interface LogParameters {
  project: string;
  domain: string;
  execution: string;
  node: string;
  attempt: string;
  index?: string;
}

/** Outputs of tasks that people look at: logs as text, decks as HTML. */
@Controller('api/v1')
export class OutputsHttpController {
  constructor(@Inject(InProcessCalls) private readonly calls: InProcessCalls) {}

  /** `?follow=true` goes on until the attempt has ended; `?tail=<n>` gives the last lines only. */
  @Get(['logs/:project/:domain/:execution/:node/:attempt', 'logs/:project/:domain/:execution/:node/:attempt/:index'])
  async logs(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    try {
      const { project, domain, execution, node, attempt, index } = request.params as LogParameters;
      const { follow, tail, org = '' } = request.query as Record<string, string | undefined>;
      const chunks = this.calls.logs(
        {
          node: { nodeId: node, executionId: { project, domain, name: execution, org } },
          retryAttempt: wholeNumber(attempt, 'attempt'),
          index: index === undefined ? undefined : wholeNumber(index, 'index'),
          follow: follow === 'true',
          tailLines: tail === undefined ? 0 : wholeNumber(tail, 'tail'),
        },
        request,
      );
      await sendStream(reply, 'text/plain; charset=utf-8', chunks);
    } catch (error) {
      sendError(reply, error);
    }
  }

  @Get('decks/:project/:domain/:execution/:node')
  async deck(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    try {
      const { project, domain, execution: name, node: nodeId } = request.params as LogParameters;
      const { org = '' } = request.query as Record<string, string | undefined>;
      const stream = await this.calls.deck({ nodeId, executionId: { project, domain, name, org } }, request);
      // A deck is somebody's HTML: its scripts run (plots need them), but as nobody, in an origin of their own.
      void reply
        .header('content-type', 'text/html; charset=utf-8')
        .header('content-security-policy', 'sandbox allow-scripts allow-popups')
        .send(stream);
    } catch (error) {
      sendError(reply, error);
    }
  }
}

function wholeNumber(text: string, where: string): number {
  if (!/^\d{1,9}$/.test(text)) throw invalidArgument(`${where}: ${JSON.stringify(text)} must be a whole number`);
  return Number(text);
}
