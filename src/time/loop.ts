/**
 * The loop: takes all sites through windows of virtual time. `Crew` runs the sites of one thread; `Loop` decides the windows
 * and carries messages between crews, whether they are in this thread or in workers.
 */
import type { Site, SiteMessage } from "./site.ts";

/** One macrotask hop, after which all promises that could settle have settled (an adapter's business). */
export type Hop = () => Promise<void>;

/** The sites of one thread, as the loop sees them. */
export interface Crew {
  /** Takes messages in, runs all its sites up to (not including) `endNs`, then answers what they sent and when the next event is. */
  runWindow(endNs: number, messages: readonly SiteMessage[]): Promise<CrewReport>;
}

export interface CrewReport {
  readonly nextNs: number;
  readonly sent: readonly SiteMessage[];
}

/** The crew of this thread. */
export class LocalCrew implements Crew {
  readonly #sites: Site[] = [];
  readonly #byIndex = new Map<number, Site>();
  readonly #hop: Hop;
  #sent: SiteMessage[] = [];

  constructor(hop: Hop) {
    this.#hop = hop;
  }

  add(site: Site): void {
    this.#sites.push(site);
    this.#byIndex.set(site.index, site);
  }

  /** What sites of this crew send: given to each of them as `post`. */
  readonly post = (message: SiteMessage): void => {
    this.#sent.push(message);
  };

  /** Lets promises settle that were woken outside of any event (by building a site, by the embedding program's calls). */
  async settle(): Promise<CrewReport> {
    await this.#hop();
    return this.#report();
  }

  async runWindow(endNs: number, messages: readonly SiteMessage[], stop?: () => boolean): Promise<CrewReport> {
    for (const message of messages) this.#byIndex.get(message.to)?.receive(message);
    for (;;) {
      let ran = false;
      let dirty = false;
      for (const site of this.#sites) {
        if (!site.step(endNs)) continue;
        ran = true;
        dirty ||= site.dirty;
        // Events that wake nobody need no hop before the site's next one.
        while (!site.dirty && site.step(endNs)) dirty ||= site.dirty;
        site.dirty = false;
      }
      if (!ran) break;
      if (dirty) {
        await this.#hop();
        if (stop?.()) break;
      }
    }
    return this.#report();
  }

  #report(): CrewReport {
    const sent = this.#sent;
    this.#sent = [];
    let nextNs = Infinity;
    for (const site of this.#sites) nextNs = Math.min(nextNs, site.nextNs());
    return { nextNs, sent };
  }
}

/** Something that acts on messages between two windows: the underlay switch. */
export interface Between {
  /** Takes the messages addressed to it. */
  accept(message: SiteMessage): void;
  /** Everything that reaches a site because of what was accepted and happened before `endNs`. */
  flush(endNs: number): SiteMessage[];
  /** When it has to be flushed next. */
  nextNs(): number;
}

/** The address of the thing between the sites. */
export const BETWEEN = -1;

/** Order of arrivals: the same whatever thread they came from. */
export const inOrder = (a: SiteMessage, b: SiteMessage): number =>
  a.timeNs - b.timeNs || a.from - b.from || a.sequence - b.sequence;

export interface LoopOptions {
  /** The crew of this thread. */
  readonly local: LocalCrew;
  /** The site of the embedding program, in the crew of this thread. */
  readonly user: Site;
  /** Crews in workers. */
  readonly remote?: readonly Crew[];
  /** Which crew a site belongs to: 0 is `local`, 1… are `remote`. */
  readonly crewOf: (site: number) => number;
  readonly between: Between;
  /** Length of a window in ns: no message may arrive sooner than this after it was sent. */
  readonly windowNs: number;
  /** Called before a window that begins at `nextNs`: real time waits here. Resolves false to try again (something came in). */
  readonly pace?: (nextNs: number) => Promise<boolean>;
}

export class Loop {
  readonly #options: LoopOptions;
  readonly #crews: readonly Crew[];
  /** Messages on their way, by crew. */
  #inboxes: SiteMessage[][];
  readonly #next: number[];
  /** End of the window that was begun; sites may not all have reached it when a caller's wish came true in its middle. */
  #endNs = 0;
  /** Beginning of that window. */
  #startNs = 0;
  #running = false;
  #kept: Promise<void> | undefined;
  #fault: { readonly error: unknown } | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#crews = [options.local, ...(options.remote ?? [])];
    this.#inboxes = this.#crews.map(() => []);
    this.#next = this.#crews.map(() => 0);
  }

  /**
   * Runs until `wish` is settled, and answers it. Rejects when nothing is left that could ever settle it. While `keep` runs
   * the loop, the wish is only waited for.
   */
  async drive<T>(wish: Promise<T>): Promise<T> {
    if (this.#kept !== undefined) return Promise.race([wish, this.#kept]) as Promise<T>;
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    wish.then(mark, mark);
    await this.#run(() => settled, Infinity);
    if (!settled) throw new Error("deadlock: nothing is left to happen, and what is waited for did not");
    return wish;
  }

  /** Runs everything before `timeNs`. */
  async runTo(timeNs: number): Promise<void> {
    await this.#run(() => false, timeNs);
  }

  /** Runs on and on, at the pace of `pace`, until `stop` says so; rejects when a crew dies. */
  keep(stop: () => boolean): Promise<never | void> {
    this.#kept = this.#run(stop, Infinity, true);
    this.#kept.catch(() => {});
    return this.#kept;
  }

  /**
   * The moment, at most `nowNs`, at which something that comes from outside may happen on a site of this thread: not before
   * what has happened elsewhere, and not after what is still due.
   */
  momentNs(nowNs: number): number {
    return Math.max(this.#startNs, Math.min(nowNs, this.#nextNs()));
  }

  /** Takes the first report of a crew (1… are the remote ones): what its sites sent when they were built. */
  begin(crew: number, report: CrewReport): void {
    this.#take(crew, report);
  }

  /** Ends the loop with an error that every later call throws: a worker died. */
  fail(error: unknown): void {
    this.#fault ??= { error };
  }

  async #run(done: () => boolean, untilNs: number, forever = false): Promise<void> {
    if (this.#running) throw new Error("the loop is already running: wait for the call before");
    this.#running = true;
    try {
      this.#take(0, await this.#options.local.settle());
      while (!done()) {
        if (this.#fault !== undefined) throw this.#fault.error;
        const nextNs = this.#nextNs();
        if (!forever && (nextNs >= untilNs || nextNs === Infinity)) return;
        // A window that was left in its middle goes on to its end first.
        if (nextNs >= this.#endNs) {
          if (this.#options.pace !== undefined && !(await this.#options.pace(nextNs))) {
            this.#take(0, await this.#options.local.settle());
            continue;
          }
          this.#startNs = nextNs;
          this.#endNs = nextNs + this.#options.windowNs;
          // The embedding program's site has no events of its own: what it does next begins in this window.
          this.#options.user.advanceTo(nextNs);
        }
        await this.#window(Math.min(this.#endNs, untilNs), done);
      }
    } finally {
      this.#running = false;
    }
  }

  #nextNs(): number {
    let next = this.#options.between.nextNs();
    for (let i = 0; i < this.#crews.length; i++) {
      next = Math.min(next, this.#next[i] as number);
      for (const message of this.#inboxes[i] as SiteMessage[]) next = Math.min(next, message.timeNs);
    }
    return next;
  }

  async #window(endNs: number, done: () => boolean): Promise<void> {
    const reports: Promise<void>[] = [];
    for (let i = 0; i < this.#crews.length; i++) {
      const inbox = this.#inboxes[i] as SiteMessage[];
      if (inbox.length === 0 && (this.#next[i] as number) >= endNs) continue;
      this.#inboxes[i] = [];
      const report =
        i === 0 ? this.#options.local.runWindow(endNs, inbox, done) : (this.#crews[i] as Crew).runWindow(endNs, inbox);
      reports.push(report.then((r) => this.#take(i, r)));
    }
    await Promise.all(reports);
    // A window left in its middle is not over: some site may still send in it.
    if ((this.#next[0] as number) < endNs) return;
    for (const message of this.#options.between.flush(endNs)) this.#route(message);
  }

  /** Takes a crew's report; what it sent goes on its way. */
  #take(crew: number, report: CrewReport): void {
    this.#next[crew] = report.nextNs;
    for (const message of report.sent) {
      if (message.to === BETWEEN) this.#options.between.accept(message);
      else this.#route(message);
    }
  }

  #route(message: SiteMessage): void {
    (this.#inboxes[this.#options.crewOf(message.to)] as SiteMessage[]).push(message);
  }
}
