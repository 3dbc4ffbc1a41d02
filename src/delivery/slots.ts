/** How many deliveries run at once, in all and for one user. Users take turns; what does not fit waits. Pure but for calling the work. */

interface Waiting {
  readonly perUser: number;
  readonly work: () => Promise<void>;
}

export class Slots {
  #total: number;
  #running = 0;
  #waiting = 0;
  /** Running deliveries by user. */
  readonly #busy = new Map<string, number>();
  /** In the order of their turns: a user that was served goes to the end. */
  readonly #queues = new Map<string, Waiting[]>();
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(total: number) {
    this.#total = total;
  }

  /** So many may run at once from now on. */
  resize(total: number): void {
    this.#total = total;
    this.#next();
  }

  get running(): number {
    return this.#running;
  }
  get waiting(): number {
    return this.#waiting;
  }
  /** Users with something running or waiting. */
  get users(): number {
    let users = this.#busy.size;
    for (const user of this.#queues.keys()) if (!this.#busy.has(user)) users++;
    return users;
  }

  /** Starts `work` when there is room and fewer than `perUser` run for this user. `work` must not reject. */
  run(user: string, perUser: number, work: () => Promise<void>): void {
    if (this.#closed) return;
    if (this.#running < this.#total && !this.#queues.has(user) && this.#fits(user, perUser)) {
      this.#start(user, work);
      return;
    }
    const queue = this.#queues.get(user);
    if (queue === undefined) this.#queues.set(user, [{ perUser, work }]);
    else queue.push({ perUser, work });
    this.#waiting++;
  }

  /** Starts nothing more. Resolves when all that runs has ended. */
  close(): Promise<void> {
    this.#closed = true;
    this.#queues.clear();
    this.#waiting = 0;
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #fits(user: string, perUser: number): boolean {
    return (this.#busy.get(user) ?? 0) < perUser;
  }

  #start(user: string, work: () => Promise<void>): void {
    this.#running++;
    this.#busy.set(user, (this.#busy.get(user) ?? 0) + 1);
    work().finally(() => {
      this.#running--;
      const left = this.#busy.get(user)! - 1;
      if (left === 0) this.#busy.delete(user);
      else this.#busy.set(user, left);
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < this.#total && this.#takeTurn());
    if (this.#running > 0) return;
    for (const resolve of this.#idle) resolve();
    this.#idle = [];
  }

  #takeTurn(): boolean {
    for (const [user, queue] of this.#queues) {
      const { perUser, work } = queue[0]!;
      if (!this.#fits(user, perUser)) continue;
      this.#queues.delete(user);
      if (queue.length > 1) {
        queue.shift();
        this.#queues.set(user, queue);
      }
      this.#waiting--;
      this.#start(user, work);
      return true;
    }
    return false;
  }
}
