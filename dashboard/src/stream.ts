// The one stream of events of this tab. EventSource cannot carry credentials, so it is read by fetch.
import { address, authorization, onSignIn, problemOf } from "./api/client";
import { visible } from "./api/text";
import type { Event } from "./api/types";
import { now } from "./time";

export type Connection = { state: "live" | "connecting" | "lost"; since: number; retryAt?: number };

const waits = [1000, 2000, 4000, 8000];
const silenceMax = 40_000; // a heartbeat comes every 15 s

/** Frames cuts what arrives into events: each is the text after its "data:", comments are dropped. */
export class Frames {
  private rest = "";

  push(chunk: string): { id?: string; data: string }[] {
    this.rest += chunk;
    const blocks = this.rest.split("\n\n");
    this.rest = blocks.pop()!;
    const found: { id?: string; data: string }[] = [];
    for (const block of blocks) {
      let id: string | undefined;
      const data: string[] = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("id:")) id = line.slice(3).trim();
        if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
      if (data.length > 0) found.push({ id, data: data.join("\n") });
    }
    return found;
  }
}

/** EventStream connects, goes on where it left off after a loss, and tells everybody who listens. */
export class EventStream {
  connection: Connection = { state: "connecting", since: now() };
  private readonly hearers = new Set<(e: Event) => void>();
  private readonly watchers = new Set<() => void>();
  private lastID = "";
  private failures = 0;
  private running?: AbortController;
  private timer?: ReturnType<typeof setTimeout>;

  constructor(private readonly path = "/api/v1/events") {}

  /** hear calls f for every event from now on. A gap is an event of kind gap: everything has to be fetched anew. */
  hear(f: (e: Event) => void): () => void {
    this.hearers.add(f);
    return () => this.hearers.delete(f);
  }

  /** watch calls f when the connection changes. */
  watch(f: () => void): () => void {
    this.watchers.add(f);
    return () => this.watchers.delete(f);
  }

  start(): () => void {
    const again = (): void => this.reconnect();
    const off = onSignIn(again);
    window.addEventListener("online", again);
    void this.connect();
    return () => {
      off();
      window.removeEventListener("online", again);
      clearTimeout(this.timer);
      this.running?.abort();
      this.running = undefined;
    };
  }

  /** reconnect does not wait for the next try. */
  reconnect(): void {
    clearTimeout(this.timer);
    this.running?.abort();
    void this.connect();
  }

  private async connect(): Promise<void> {
    const mine = new AbortController();
    this.running = mine;
    try {
      await this.read(mine);
    } catch {
      // whatever it was: lost, and tried again below
    }
    mine.abort();
    if (this.running !== mine) return; // somebody began anew, or nobody listens any more
    const wait = waits[Math.min(this.failures, waits.length - 1)]!;
    this.failures++;
    this.set({ state: "lost", since: this.connection.state === "lost" ? this.connection.since : now(), retryAt: now() + wait });
    this.timer = setTimeout(() => void this.connect(), wait);
  }

  private async read(mine: AbortController): Promise<void> {
    let silence = setTimeout(() => mine.abort(), silenceMax);
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream", ...authorization() };
      if (this.lastID !== "") headers["Last-Event-ID"] = this.lastID;
      const r = await fetch(address(this.path), { headers, cache: "no-store", credentials: "omit", redirect: "error", signal: mine.signal });
      if (!r.ok || r.body === null) throw await problemOf(r);
      const frames = new Frames();
      const text = new TextDecoder();
      const reader = r.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => mine.abort(), silenceMax);
        this.alive();
        for (const frame of frames.push(text.decode(value, { stream: true }))) this.take(frame);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  private alive(): void {
    this.failures = 0;
    if (this.connection.state === "live") return;
    const returned = this.connection.state === "lost";
    this.set({ state: "live", since: now() });
    // A control plane that tells nothing of what was missed has to be asked.
    if (returned) this.tell({ id: "", at: new Date(now()).toISOString(), kind: "gap", text: "the connection was lost" });
  }

  private take(frame: { id?: string; data: string }): void {
    let e: Event;
    try {
      e = JSON.parse(visible(frame.data)) as Event;
    } catch {
      return; // one bad event must not end the others
    }
    if (frame.id) this.lastID = frame.id;
    this.tell(e);
  }

  private tell(e: Event): void {
    for (const f of [...this.hearers]) f(e);
  }

  private set(c: Connection): void {
    this.connection = c;
    for (const f of [...this.watchers]) f();
  }
}
