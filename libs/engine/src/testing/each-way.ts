import { Driver } from './driver.js';

/** Runs a suite twice: with runs kept in memory, and with runs restored from a snapshot before every input, over packed graphs. */
export function eachWay(title: string, body: () => void): void {
  for (const restarts of [false, true]) {
    describe(restarts ? `${title}, restored before every input` : title, () => {
      beforeAll(() => {
        Driver.restarts = restarts;
      });
      afterAll(() => {
        Driver.restarts = false;
      });
      body();
    });
  }
}
