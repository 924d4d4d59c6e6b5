// What a page shows is fetched again and again, and sooner when an event says that it has changed. An answer carries
// the time at which it was true; when none has come for a while it is stale, and pages show that.
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { get, onSignIn, ProblemError, signInNeeded } from "./api/client";
import type { Event } from "./api/types";
import { type Connection, EventStream } from "./stream";
import { now } from "./time";

export const stream = new EventStream();

/** staleAfter is how old an answer may be before it no longer counts as what is; slower fetching allows more. */
export function staleAfter(every: number): number {
  return Math.max(5000, 3 * every);
}

const againAfter = 5000; // what failed is tried again so soon, however seldom it is asked for else

const coalesce = 100; // events come in bursts; one fetch answers them all

export type Live<T> = { data?: T; problem?: ProblemError; failing: boolean; stale: boolean; at?: number };

/** Options: every is how often to ask, apart how long at least between two questions, both in milliseconds. */
export type Options<T> = { every: number; apart?: number; wakes?: (e: Event) => boolean; fetcher?: (path: string) => Promise<T> };

/** Poll is one path that is fetched for as long as somebody looks. */
export class Poll<T> {
  state: Live<T> = { failing: false, stale: false };
  private readonly watchers = new Set<() => void>();
  private timer?: ReturnType<typeof setTimeout>;
  private due = Infinity; // when the timer fires
  private ageing?: ReturnType<typeof setTimeout>;
  private asked = 0; // number of the latest request
  private shown = 0; // number of the request whose answer is shown
  private flying = false;
  private again = false;
  private stopped = true;
  private begun = 0;
  private sent = -Infinity; // when the latest request was sent; like due, by a clock that nobody sets

  constructor(
    private readonly path: string,
    private readonly opts: Options<T>,
    private readonly source: EventStream = stream,
  ) {}

  watch = (f: () => void): (() => void) => {
    this.watchers.add(f);
    return () => this.watchers.delete(f);
  };

  snapshot = (): Live<T> => this.state;

  start(): () => void {
    this.stopped = false;
    this.due = Infinity;
    this.begun = now();
    const off = [
      this.source.hear((e) => {
        if (e.kind === "gap" || this.opts.wakes?.(e)) this.soon(coalesce);
      }),
      onSignIn(() => this.soon(0)),
    ];
    const seen = (): void => {
      if (!document.hidden) this.soon(0);
    };
    document.addEventListener("visibilitychange", seen);
    this.soon(0);
    this.age();
    return () => {
      this.stopped = true;
      off.forEach((f) => f());
      document.removeEventListener("visibilitychange", seen);
      clearTimeout(this.timer);
      clearTimeout(this.ageing);
    };
  }

  /** soon fetches within ms, or at the end of the fetch that is under way. It puts nothing off: events may never pause. */
  soon(ms: number): void {
    if (this.flying) {
      this.again = true;
      return;
    }
    const due = Math.max(performance.now() + ms, this.sent + (this.opts.apart ?? 0));
    if (this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => void this.fetch(), due - performance.now());
  }

  private async fetch(): Promise<void> {
    this.due = Infinity;
    if (this.stopped || document.hidden || signInNeeded() !== undefined) return;
    this.flying = true;
    this.again = false;
    const mine = ++this.asked;
    this.sent = performance.now();
    const at = now();
    try {
      this.take(mine, { data: await (this.opts.fetcher ?? get<T>)(this.path), failing: false, stale: false, at });
    } catch (e) {
      const problem = e instanceof ProblemError ? e : undefined;
      this.take(mine, { ...this.state, problem, failing: true });
    }
    this.flying = false;
    if (!this.stopped) this.soon(this.again ? coalesce : this.state.failing ? Math.min(this.opts.every, againAfter) : this.opts.every);
  }

  /** take shows an answer unless a later one is shown already. */
  private take(number: number, state: Live<T>): void {
    if (this.stopped || number < this.shown) return;
    this.shown = number;
    this.set(state);
    this.age();
  }

  /** age marks what is shown as stale when its time has come. */
  private age(): void {
    clearTimeout(this.ageing);
    const limit = this.state.failing ? staleAfter(0) : staleAfter(this.opts.every); // who was just told nothing knows that it may be old
    const left = (this.state.at ?? this.begun) + limit - now();
    if (left <= 0) {
      if (!this.state.stale) this.set({ ...this.state, stale: true });
      return;
    }
    this.ageing = setTimeout(() => this.age(), left + 1);
  }

  private set(state: Live<T>): void {
    this.state = state;
    for (const f of [...this.watchers]) f();
  }
}

const nothing: Live<never> = { failing: false, stale: false };
const idle = (): (() => void) => () => undefined;

/** useLive shows what a path answers, kept up to date; null asks for nothing. */
export function useLive<T>(path: string | null, opts: Options<T>): Live<T> {
  // Options are read when the path changes: a page that wants others asks for another path or renders another part.
  const poll = useMemo(() => (path === null ? undefined : new Poll<T>(path, opts)), [path, opts.every]); // functions may be new ones each time
  useEffect(() => poll?.start(), [poll]);
  return useSyncExternalStore(poll?.watch ?? idle, poll?.snapshot ?? (() => nothing as Live<T>));
}

/** useEvents hears every event while its component is shown; kind gap says that some were missed. */
export function useEvents(handler: (e: Event) => void): void {
  const latest = useMemo(() => ({ handler }), []);
  latest.handler = handler;
  useEffect(() => stream.hear((e) => latest.handler(e)), [latest]);
}

/** useConnection is how the stream of events fares. */
export function useConnection(): Connection {
  return useSyncExternalStore((f) => stream.watch(f), () => stream.connection);
}
