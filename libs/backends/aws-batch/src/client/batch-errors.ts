import { AloftError, type ErrorCode } from '@aloft/errors';

interface SdkError extends Error {
  $metadata?: { httpStatusCode?: number };
  $retryable?: { throttling?: boolean };
}

const throttling =
  /^(TooManyRequests|Throttl|RequestLimitExceeded|LimitExceeded|SlowDown|BandwidthLimit|RequestThrottled|PriorRequestNotComplete)/;

/** Whether a call was refused for coming too soon: it did nothing. */
export function isThrottling(thrown: unknown): boolean {
  const { name = '', $metadata, $retryable } = (thrown ?? {}) as SdkError;
  return throttling.test(name) || $metadata?.httpStatusCode === 429 || $retryable?.throttling === true;
}

/**
 * An error of the SDK as ours. Batch's `ClientException` is a mistake of the request, which will be the same next time; everything that may be
 * different then, or of which nobody knows whether it happened, is UNAVAILABLE.
 */
export function batchError(thrown: unknown, doing: string): AloftError {
  if (thrown instanceof AloftError) return thrown;
  const error = (thrown instanceof Error ? thrown : new Error(String(thrown))) as SdkError;
  return new AloftError(codeOf(error), `AWS Batch: ${doing}: ${error.message || error.name}`, { cause: error });
}

function codeOf(error: SdkError): ErrorCode {
  if (isThrottling(error)) return 'RESOURCE_EXHAUSTED';
  const { name, $metadata } = error;
  if (name === 'AccessDeniedException' || name === 'UnauthorizedOperation') return 'PERMISSION_DENIED';
  // The platform's own credentials: they come back, or are mended, without the task.
  if (/^(ExpiredToken|UnrecognizedClient|InvalidSignature|InvalidClientTokenId|CredentialsProviderError)/.test(name))
    return 'UNAVAILABLE';
  const status = $metadata?.httpStatusCode ?? 0;
  if (name === 'ClientException' || (status >= 400 && status < 500)) return 'INVALID_ARGUMENT';
  return 'UNAVAILABLE';
}
