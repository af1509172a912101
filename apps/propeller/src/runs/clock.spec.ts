import { expect, test } from '@jest/globals';
import { LogClock } from './clock.js';

/** A clock of the log over a wall clock and a stopwatch that the test moves. */
function setUp() {
  let wall = 1_000_000;
  let steady = 0;
  const clock = new LogClock(
    () => wall,
    () => steady,
  );
  return {
    clock,
    pass(ms: number) {
      wall += ms;
      steady += ms;
    },
    jump(ms: number) {
      wall += ms;
    },
  };
}

test('it is the wall clock, and follows it when it jumps forward', () => {
  const { clock, pass, jump } = setUp();
  expect(clock.now()).toBe(1_000_000);
  pass(250);
  expect(clock.now()).toBe(1_000_250);
  jump(60_000);
  expect(clock.now()).toBe(1_060_250);
});

test('a wall clock that was put back an hour: time goes on, at half its pace until the wall clock has caught up', () => {
  const { clock, pass, jump } = setUp();
  const before = clock.now();
  jump(-3_600_000);
  expect(clock.now()).toBe(before);
  // A timer that was due in three milliseconds comes after six, not after an hour.
  for (let i = 0; i < 6; i += 1) {
    pass(1);
    clock.now();
  }
  expect(clock.now()).toBe(before + 3);
  pass(2 * 3_600_000);
  expect(clock.now()).toBe(before + 3_600_000 + 6);
  pass(1000);
  expect(clock.now()).toBe(before + 3_600_000 + 1006);
});

test('a loaded log that is ahead: time goes on from there', () => {
  const { clock, pass } = setUp();
  clock.observe({ seconds: 1010n, nanos: 0 });
  expect(clock.now()).toBe(1_010_000);
  pass(10_000);
  expect(clock.now()).toBe(1_015_000);
  pass(10_000);
  expect(clock.now()).toBe(1_020_000);
});
