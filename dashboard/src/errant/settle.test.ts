// @vitest-environment node
import { describe, expect, it } from "vitest";
import { Offline, ProblemError } from "../api/client";
import type { SettleAnswer } from "../api/types";
import { errantOf, settlementOf } from "./examples";
import { asksFor, begin, type Doing, lacks, request, type State, step } from "./settle";
import { between, cells, touched, words, writers } from "./summary";

const answer = (possible: boolean): SettleAnswer => ({ settlement: settlementOf(), steps: ["export"], check: { possible, detail: "" } });
const wish = { action: "clone" as const, reason: "a table without a key", accept: [] };
const after = (...all: Doing[]): State => all.reduce(step, begin);
const rehearsed: Doing[] = [{ does: "edit", wish }, { does: "rehearse" }, { does: "rehearsed", answer: answer(true) }];

describe("settling a server", () => {
  it("begins only after a dry run that succeeded, with a reason and the whole address", () => {
    expect(lacks(begin, "db3:3306")).toBeDefined();
    expect(lacks(after(...rehearsed), "db3:3306")).toBeDefined();
    expect(lacks(after(...rehearsed, { does: "type", typed: "db3:330" }), "db3:3306")).toBe("That is not the address yet.");
    expect(lacks(after(...rehearsed, { does: "type", typed: "db3:3306" }), "db3:3306")).toBeUndefined();
    const silent: Doing[] = [{ does: "edit", wish: { ...wish, reason: " " } }, ...rehearsed.slice(1), { does: "type", typed: "db3:3306" }];
    expect(lacks(after(...silent), "db3:3306")).toMatch(/reason/);
    const impossible: Doing[] = [{ does: "rehearse" }, { does: "rehearsed", answer: answer(false) }, { does: "type", typed: "db3:3306" }];
    expect(lacks(after(...impossible), "db3:3306")).toMatch(/not possible/);
  });

  it("forgets the dry run when something else is wished", () => {
    const s = after(...rehearsed, { does: "edit", wish: { ...wish, action: "rewind" } });
    expect(s).toMatchObject({ at: "choose", wish: { action: "rewind" } });
  });

  it("does not take an answer to what is no longer asked", () => {
    expect(after({ does: "rehearse" }, { does: "edit", wish }, { does: "rehearsed", answer: answer(true) }).at).toBe("choose");
  });

  it("keeps what was typed when no answer came, and lets go of it when the answer was no", () => {
    const sent: Doing[] = [...rehearsed, { does: "type", typed: "db3:3306" }, { does: "send" }];
    for (const lost of [new Offline("silence"), new ProblemError({ status: 502, code: "", detail: "a proxy" })]) {
      expect(after(...sent, { does: "refused", problem: lost })).toMatchObject({ at: "rehearsed", typed: "db3:3306", sending: false, unanswered: lost });
    }
    expect(after(...sent, { does: "refused", problem: new ProblemError({ status: 409, code: "busy", detail: "" }) })).toMatchObject({ at: "choose", refused: { during: "order", problem: { code: "busy" } } });
  });

  it("asks in a dry run for the same as afterwards", () => {
    const w = { ...wish, accept: ["reuse" as const] };
    expect(request(w, true)).toEqual({ action: "clone", dry_run: true, accept: ["reuse"], reason: wish.reason });
    expect(request(w, false)).toEqual({ action: "clone", accept: ["reuse"], reason: wish.reason });
  });

  it("says what somebody has to answer for", () => {
    expect(asksFor(errantOf(), "rewind", "possibly_acked")).toBe(false);
    expect(asksFor(errantOf({ verdict: { never_acknowledged: false, why: [], term: 0 } }), "discard", "possibly_acked")).toBe(true);
    expect(asksFor(errantOf({ verdict: { never_acknowledged: false, why: [], term: 0 } }), "keep", "possibly_acked")).toBe(false);
    expect(asksFor(errantOf({ missing: "u:9" }), "clone", "incomplete")).toBe(true);
  });
});

describe("what transactions did", () => {
  const e = errantOf();
  it("is told by tables", () => expect(touched(e.transactions).map((t) => [t.table, words(t)])).toEqual([["app.orders", "60 updated"]]));
  it("by sessions", () => expect(writers(e.transactions)).toEqual(["server_id 3, connection 17"]));
  it("and by times", () => expect(between(e.transactions)).toEqual(["2026-11-21T16:39:00.000000Z", "2026-11-21T16:39:00.000000Z"]));
  it("shows of an updated row its key and what is different", () => {
    expect(cells(e.transactions[0]!.changes![0]!)).toEqual([{ column: "id", after: "0", key: true }, { column: "state", before: "'open'", after: "'paid'", key: false }]);
  });
  it("shows of a deleted row what it was", () => {
    expect(cells({ schema: "s", table: "t", action: "delete", before: [{ column: "@1", sql: "7", value: 7 }] })).toEqual([{ column: "@1", before: "7", key: false }]);
  });
});
