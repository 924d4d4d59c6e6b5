import { describe, expect, it } from "vitest";
import type { Event } from "../api/types";
import { joined, kindsOf, matches, pathOf, toneOf } from "./feed";

const event = (n: number, part: Partial<Event> = {}): Event => ({ id: `e-${n}`, at: new Date(1_700_000_000_000 + n * 1000).toISOString(), kind: "repair", text: `number ${n}`, ...part });

describe("the feed", () => {
  it("shows each event once, however often it was told, newest first", () => {
    const live = joined([], [event(3), event(2)]);
    expect(joined(live, [event(3), event(1), event(2)]).map((e) => e.id)).toEqual(["e-3", "e-2", "e-1"]);
  });

  it("keeps the order of events of the same moment", () => {
    const at = "2026-11-21T16:40:02Z";
    expect(joined([], [event(9, { at }), event(10, { at }), event(8, { at })]).map((e) => e.id)).toEqual(["e-10", "e-9", "e-8"]);
  });

  it("keeps every loss of the connection, although those have no id", () => {
    const lost = (n: number) => event(n, { id: "", kind: "gap" });
    expect(joined(joined([], [lost(1)]), [lost(2)])).toHaveLength(2);
  });

  it("forgets the oldest when there are too many", () => {
    expect(joined([event(1), event(2)], [event(3)], 2).map((e) => e.id)).toEqual(["e-3", "e-2"]);
  });

  it("shows a gap to everybody, and nothing else that was not asked for", () => {
    expect(matches(event(1, { kind: "gap" }), "shop", ["operator"])).toBe(true);
    expect(matches(event(1, { cluster: "shop" }), "shop", [])).toBe(true);
    expect(matches(event(1, { cluster: "pay" }), "shop", [])).toBe(false);
    expect(matches(event(1, { cluster: "shop" }), "shop", ["operator"])).toBe(false);
  });
});

describe("the filter of the address", () => {
  it("knows groups and kinds, and leaves out what the API would refuse", () => {
    expect(kindsOf("findings,operator,nonsense,finding_opened")).toEqual(["finding_opened", "finding_closed", "operator"]);
    expect(kindsOf("")).toEqual([]);
    expect(pathOf("shop", ["operator"], 100)).toBe("/api/v1/events/recent?cluster=shop&kind=operator&limit=100");
  });
});

describe("how an event looks", () => {
  it("is bad for what is critical and for changes that came to nothing", () => {
    expect(toneOf(event(1, { kind: "recovery_finished", state: "blocked" }))).toBe("bad");
    expect(toneOf(event(1, { kind: "recovery_finished", state: "succeeded" }))).toBe("ok");
    expect(toneOf(event(1, { kind: "something_new" }))).toBe("none");
  });
});
