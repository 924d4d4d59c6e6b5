// @vitest-environment node
import { describe, expect, it, vi } from "vitest";
import { ago, brief, clock, exact, now, serverSaid, span } from "./time";

describe("lengths of time are told in at most two units", () => {
  it.each([
    [-5, "0 ms"], [840, "840 ms"], [12_000, "12 s"], [250_000, "4 min 10 s"], [3_500_000, "58 min"],
    [10_920_000, "3 h 2 min"], [(12 * 24 + 4) * 3_600_000, "12 d 4 h"], [40 * 86_400_000, "40 d"],
  ])("%d ms is %s", (ms, text) => expect(span(ms)).toBe(text));

  it.each([[900, "0 s"], [61_000, "1 min"], [7_200_000, "2 h"], [47 * 3_600_000, "47 h"], [50 * 3_600_000, "2 d"]])("%d ms in one unit is %s", (ms, text) => expect(brief(ms)).toBe(text));

  it.each([[0.42, "0.4 ms"], [12, "12 ms"], [840.4, "840 ms"], [2310, "2.31 s"], [64_000, "1 min 4 s"]])("a measured %d ms is %s", (ms, text) => expect(exact(ms)).toBe(text));
});

describe("the time is the server's", () => {
  it("whatever this machine's clock says", () => {
    vi.useFakeTimers({ now: Date.parse("2026-11-21T10:00:00Z") });
    serverSaid("2026-11-21T10:05:00.250000Z", Date.now(), Date.now());
    expect(now()).toBe(Date.parse("2026-11-21T10:05:00.250Z"));
    expect(ago("2026-11-21T10:04:48.000Z")).toBe("12 s ago");
    serverSaid("Sat, 21 Nov 2026 10:05:01 GMT", Date.now(), Date.now()); // whole seconds tell nothing new
    expect(now()).toBe(Date.parse("2026-11-21T10:05:00.250Z"));
    serverSaid("not a time", Date.now(), Date.now());
    serverSaid(null, Date.now(), Date.now());
    expect(now()).toBe(Date.parse("2026-11-21T10:05:00.250Z"));
    serverSaid("2026-11-21T10:00:00.000000Z", Date.now(), Date.now());
    vi.useRealTimers();
  });

  it("and nothing lies in the future", () => expect(ago(new Date(now() + 3000).toISOString())).toBe("just now"));
  it("and an absent time is no text", () => expect(clock(undefined) + ago("") + clock("nonsense")).toBe(""));
});
