/** Lets one waiter through when it is open; opening is remembered until it is closed. */
export class Gate {
  private isOpen = false;
  private waiter: (() => void) | undefined;

  open(): void {
    this.isOpen = true;
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.();
  }

  close(): void {
    this.isOpen = false;
  }

  passed(): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    return new Promise((resolve) => (this.waiter = resolve));
  }
}
