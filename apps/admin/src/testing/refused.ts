import type { AloftError } from '@aloft/errors';

/** The error of a call that is refused. */
export async function refusal(call: Promise<unknown>): Promise<AloftError> {
  return call.then(
    () => Promise.reject(new Error('the call was accepted')),
    (thrown: AloftError) => thrown,
  );
}

/** The error of a call that is refused with that code, and says these parts. */
export async function refused(call: Promise<unknown>, code: string, ...parts: string[]): Promise<AloftError> {
  const error = await refusal(call);
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  for (const part of parts) expect(error.message).toContain(part);
  return error;
}
