import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Offline, ProblemError } from "./api/client";
import type { Event } from "./api/types";
import { Poll, staleAfter } from "./live";
import { EventStream, Frames } from "./stream";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const event = (kind: string, cluster = "shop"): Event => ({ id: "1", at: "", kind, cluster, text: "" });

class Source extends EventStream {
  fire(e: Event): void {
    this["tell"](e);
  }
}

/** asking is a poll whose answers the test gives. */
function asking(every = 1000, apart = 0) {
  const source = new Source();
  const waiting: { answer: (v: number) => void; fail: (e: Error) => void }[] = [];
  const poll = new Poll<number>("/x", {
    every, apart, wakes: (e) => e.cluster === "shop",
    fetcher: () => new Promise<number>((answer, fail) => waiting.push({ answer, fail })),
  }, source);
  return { poll, source, waiting, stop: poll.start() };
}

describe("what a page shows", () => {
  it("is fetched at once and then again and again", async () => {
    const { poll, waiting, stop } = asking();
    await vi.advanceTimersByTimeAsync(0);
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(1000);
    waiting[1]!.answer(2);
    await vi.advanceTimersByTimeAsync(0);
    expect(poll.state).toMatchObject({ data: 2, stale: false, failing: false });
    stop();
    await vi.advanceTimersByTimeAsync(5000);
    expect(waiting).toHaveLength(2);
  });

  it("is fetched once for a burst of events that concern it, and not for others", async () => {
    const { waiting, source, stop } = asking(60_000);
    await vi.advanceTimersByTimeAsync(0);
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(0);
    source.fire(event("finding_opened", "ledger"));
    await vi.advanceTimersByTimeAsync(500);
    expect(waiting).toHaveLength(1);
    for (let i = 0; i < 50; i++) source.fire(event("finding_opened"));
    await vi.advanceTimersByTimeAsync(500);
    expect(waiting).toHaveLength(2);
    stop();
  });

  it("is fetched again when events came while it was being fetched", async () => {
    const { waiting, source, stop } = asking(60_000);
    await vi.advanceTimersByTimeAsync(0);
    source.fire(event("finding_opened"));
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(waiting).toHaveLength(2);
    stop();
  });

  it("is fetched while events come faster than one could fetch", async () => {
    const { waiting, source, stop } = asking(2000);
    for (let i = 0; i < 100; i++) {
      await vi.advanceTimersByTimeAsync(50);
      waiting[waiting.length - 1]?.answer(i);
      source.fire(event("finding_opened"));
    }
    expect(waiting.length).toBeGreaterThan(20);
    stop();
  });

  it("is not fetched more often than it may be", async () => {
    const { waiting, source, stop } = asking(60_000, 1000);
    for (let i = 0; i < 30; i++) {
      await vi.advanceTimersByTimeAsync(100);
      waiting[waiting.length - 1]?.answer(i);
      source.fire(event("finding_opened"));
    }
    expect(waiting.length).toBeLessThanOrEqual(4);
    stop();
  });

  it("is tried again soon when it failed, however seldom it is fetched, and looks old by then", async () => {
    const { poll, waiting, source, stop } = asking(60_000);
    await vi.advanceTimersByTimeAsync(0);
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(6000);
    expect(poll.state).toMatchObject({ data: 1, stale: false });
    source.fire(event("finding_opened"));
    await vi.advanceTimersByTimeAsync(200);
    waiting[1]!.fail(new ProblemError({ status: 500, code: "internal", detail: "it broke" }));
    await vi.advanceTimersByTimeAsync(0);
    expect(poll.state).toMatchObject({ data: 1, stale: true, problem: { detail: "it broke" } });
    await vi.advanceTimersByTimeAsync(5000);
    waiting[2]!.answer(2);
    await vi.advanceTimersByTimeAsync(0);
    expect(poll.state).toEqual({ data: 2, stale: false, failing: false, at: expect.any(Number) });
    stop();
  });

  it("is fetched anew after a gap, whatever the page waits for", async () => {
    const { waiting, source, stop } = asking(60_000);
    await vi.advanceTimersByTimeAsync(0);
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(0);
    source.fire({ id: "", at: "", kind: "gap", text: "" });
    await vi.advanceTimersByTimeAsync(200);
    expect(waiting).toHaveLength(2);
    stop();
  });

  it("is stale when no answer came for a while, and keeps saying as of when it was true", async () => {
    const { poll, waiting, stop } = asking();
    await vi.advanceTimersByTimeAsync(0);
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(0);
    const at = poll.state.at;
    await vi.advanceTimersByTimeAsync(1000);
    waiting[1]!.fail(new Offline("gone"));
    await vi.advanceTimersByTimeAsync(0);
    expect(poll.state).toMatchObject({ data: 1, stale: false, failing: true });
    await vi.advanceTimersByTimeAsync(staleAfter(1000));
    expect(poll.state).toMatchObject({ data: 1, stale: true, failing: true, at });
    waiting[2]!.answer(3);
    await vi.advanceTimersByTimeAsync(0);
    expect(poll.state).toMatchObject({ data: 3, stale: false, failing: false });
    stop();
  });

  it("is stale from when it was asked for: an answer that took long tells of long ago", async () => {
    const { poll, waiting, stop } = asking();
    await vi.advanceTimersByTimeAsync(0);
    await vi.advanceTimersByTimeAsync(staleAfter(1000) + 100);
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(poll.state.stale).toBe(true);
    stop();
  });

  it("stays when the control plane refuses, with what it said", async () => {
    const { poll, waiting, stop } = asking();
    await vi.advanceTimersByTimeAsync(0);
    waiting[0]!.answer(1);
    await vi.advanceTimersByTimeAsync(1000);
    waiting[1]!.fail(new ProblemError({ status: 404, code: "no_such_cluster", detail: "gone" }));
    await vi.advanceTimersByTimeAsync(0);
    expect(poll.state).toMatchObject({ data: 1, problem: { code: "no_such_cluster" } });
    stop();
  });

  it("is never overwritten by an older answer", () => {
    const { poll, stop } = asking();
    const take = (n: number, data: number): void => poll["take"](n, { data, failing: false, stale: false, at: Date.now() });
    take(2, 2);
    take(1, 1);
    expect(poll.state.data).toBe(2);
    stop();
  });
});

describe("the stream of events", () => {
  it("is cut into events wherever the network cuts it", () => {
    const text = "retry: 1000\n\nid: a-1\nevent: repair\ndata: {\"id\":\"a-1\"}\n\n: alive\n\nid: a-2\ndata: {}\n\n";
    for (let cut = 0; cut <= text.length; cut++) {
      const frames = new Frames();
      const found = [...frames.push(text.slice(0, cut)), ...frames.push(text.slice(cut))];
      expect(found).toEqual([{ id: "a-1", data: "{\"id\":\"a-1\"}" }, { id: "a-2", data: "{}" }]);
    }
  });

  /** streaming answers each connection with a body that the test fills. */
  function streaming() {
    const asked: { headers: Record<string, string>; body?: ReadableStreamDefaultController<Uint8Array>; at: number }[] = [];
    let refuse = false;
    vi.stubGlobal("fetch", (_: string, init: RequestInit) => {
      const a: (typeof asked)[number] = { headers: init.headers as Record<string, string>, at: Date.now() };
      asked.push(a);
      if (refuse) return Promise.reject(new TypeError("refused"));
      const body = new ReadableStream<Uint8Array>({ start: (c) => void (a.body = c) });
      init.signal!.addEventListener("abort", () => {
        try {
          a.body!.error(new Error("aborted"));
        } catch {
          // closed already
        }
      });
      return Promise.resolve({ ok: true, status: 200, body, headers: new Headers() } as Response);
    });
    const source = new EventStream();
    const heard: Event[] = [];
    source.hear((e) => heard.push(e));
    const stop = source.start();
    const say = async (i: number, text: string): Promise<void> => {
      asked[i]!.body!.enqueue(new TextEncoder().encode(text));
      await vi.advanceTimersByTimeAsync(0);
    };
    return { asked, source, heard, say, stop, refuse: (r: boolean) => void (refuse = r) };
  }

  it("goes on after the last event that it heard, and says that some may have been missed", async () => {
    const s = streaming();
    await vi.advanceTimersByTimeAsync(0);
    await s.say(0, "id: a-7\ndata: {\"kind\":\"repair\"}\n\n");
    expect(s.source.connection.state).toBe("live");
    s.asked[0]!.body!.close();
    await vi.advanceTimersByTimeAsync(0);
    expect(s.source.connection.state).toBe("lost");
    await vi.advanceTimersByTimeAsync(1000);
    expect(s.asked[1]!.headers["Last-Event-ID"]).toBe("a-7");
    await s.say(1, "retry: 1000\n\n");
    expect(s.source.connection.state).toBe("live");
    expect(s.heard.map((e) => e.kind)).toEqual(["repair", "gap"]);
    s.stop();
  });

  it("is tried again after 1, 2, 4, 8 and 8 seconds", async () => {
    const s = streaming();
    s.refuse(true);
    s.source.reconnect();
    await vi.advanceTimersByTimeAsync(24_000);
    const waits = s.asked.slice(2).map((a, i) => Math.round((a.at - s.asked[i + 1]!.at) / 1000));
    expect(waits).toEqual([1, 2, 4, 8, 8]);
    s.stop();
  });

  it("is lost when it falls silent although nothing closed it", async () => {
    const s = streaming();
    await vi.advanceTimersByTimeAsync(0);
    await s.say(0, ": alive\n\n");
    await vi.advanceTimersByTimeAsync(39_000);
    expect(s.source.connection.state).toBe("live");
    await vi.advanceTimersByTimeAsync(1_500);
    expect(s.source.connection.state).toBe("lost");
    s.stop();
  });
});
