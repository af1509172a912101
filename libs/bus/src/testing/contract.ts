import { afterEach, beforeEach, describe } from '@jest/globals';
import { orderCases } from './contract-order.js';
import { recoveryCases } from './contract-recovery.js';
import { parkingCases } from './contract-parking.js';
import { boundCases } from './contract-bounds.js';
import { deliveryCases, storedDeliveryCases } from './contract-delivery.js';
import { repeatableCases } from './contract-repeatable.js';
import { sharingCases } from './contract-sharing.js';
import type { BusDriver, BusFixture } from './fixture.js';

export interface ContractContext {
  /** The installation of the test that runs. */
  readonly fixture: BusFixture;
  /** Another one, e.g. with more partitions; dropped after the test. */
  open(options: { partitions?: number }): Promise<BusFixture>;
}

/** The promises of the bus (design, section 3), the same for every driver. */
export function busContract(driver: BusDriver): void {
  describe(`bus contract: ${driver.name}`, () => {
    const open: BusFixture[] = [];
    const context: ContractContext = {
      get fixture() {
        return open[0]!;
      },
      open: async (options) => {
        const fixture = await driver.open(options);
        open.push(fixture);
        return fixture;
      },
    };
    beforeEach(async () => void (await context.open({})));
    afterEach(async () => void (await Promise.all(open.splice(0).map((fixture) => fixture.drop()))));

    describe('order', () => orderCases(context));
    describe('recovery', () => recoveryCases(context, driver));
    describe('parking', () => parkingCases(context));
    describe('bounds', () => boundCases(context));
    describe('what may be repeated', () => repeatableCases(context));
    describe('sharing', () => sharingCases(context));
    if (driver.storesDelivered) describe('delivery without an outbox', () => storedDeliveryCases(context));
    else describe('delivery without a commit', () => deliveryCases(context));
  });
}
