import { describe, expect, it } from "vitest";
import { Offline, ProblemError } from "../api/client";
import type { Cluster, ReparentAnswer } from "../api/types";
import { recoveryOf } from "../recoveries/examples";
import { newKey } from "../api/key";
import { type Action, begin, missing, request, type State, step, type Wish, wishFor } from "./machine";

const wish: Wish = { kind: "planned", to: "db2:3306", drain: "", reason: "", certifyDown: [], acceptLoss: false, keepErrant: false, withoutStore: false };
const answer: ReparentAnswer = { recovery: recoveryOf({ id: "dry-run" }), steps: [] };
const running = recoveryOf({ id: "shop-8", state: "running" });

function after(...actions: Action[]): State {
  return actions.reduce(step, begin(wish));
}

const rehearsed: Action[] = [{ does: "rehearse" }, { does: "rehearsed", answer, term: 7 }];
const sent: Action[] = [...rehearsed, { does: "type", typed: "shop" }, { does: "send", key: "k1" }];

describe("a change", () => {
  it("is sent after a dry run and a typed name only", () => {
    expect(after({ does: "send", key: "k1" }).at).toBe("choose");
    expect(after(...rehearsed, { does: "send", key: "k1" }).at).toBe("rehearsed");
    expect(after(...sent)).toMatchObject({ at: "confirming", typed: "shop", sending: true, key: "k1", term: 7 });
  });

  it("that is edited needs another dry run", () => {
    expect(after(...rehearsed, { does: "edit", wish: { ...wish, to: "db3:3306" } })).toMatchObject({ at: "choose", busy: false });
    expect(after({ does: "rehearse" }, { does: "edit", wish }, { does: "rehearsed", answer, term: 7 }).at).toBe("choose");
  });

  it("goes from begun over running to ended, and another one can be made", () => {
    const begun = after(...sent, { does: "begun", recovery: running });
    expect(begun).toMatchObject({ at: "running", id: "shop-8", mine: true });
    const ended = step(begun, { does: "ended", recovery: { ...running, state: "succeeded" } });
    expect(ended.at).toBe("ended");
    expect(step(ended, { does: "again" })).toMatchObject({ at: "choose", wish });
  });

  it("whose answer got lost is asked for again under the same key, and cannot be turned into another one", () => {
    const lost = after(...sent, { does: "refused", problem: new Offline("no answer") });
    expect(lost).toMatchObject({ at: "confirming", sending: false, key: "k1" });
    expect(step(lost, { does: "edit", wish: { ...wish, to: "db3:3306" } })).toBe(lost);
    expect(step(lost, { does: "rehearse" })).toBe(lost);
    expect(step(lost, { does: "send", key: "k2" })).toMatchObject({ key: "k1", sending: true });
  });

  it("may have begun when a proxy or a failing store answered in the control plane's place", () => {
    for (const [status, code] of [[502, ""], [503, "unavailable"], [500, "internal"]] as const) {
      expect(after(...sent, { does: "refused", problem: new ProblemError({ status, code, detail: "" }) }).at).toBe("confirming");
    }
  });

  it("was not begun when the control plane says no", () => {
    for (const [status, code] of [[409, "blocked"], [409, "busy"], [403, "forbidden"], [503, "not_leading"], [503, "store_unavailable"], [422, "invalid_request"]] as const) {
      expect(after(...sent, { does: "refused", problem: new ProblemError({ status, code, detail: "" }) })).toMatchObject({ at: "refused", during: "change" });
    }
  });

  it("of a cluster that has changed since goes back to the dry run", () => {
    const changed = new ProblemError({ status: 409, code: "changed", detail: "shop is under term 8 by now" });
    const back = after(...sent, { does: "refused", problem: changed });
    expect(back).toMatchObject({ at: "choose", busy: false, changed: "shop is under term 8 by now" });
    expect(step(back, { does: "send", key: "k1" })).toBe(back);
    expect(after({ does: "rehearse" }, { does: "refused", problem: changed })).toMatchObject({ at: "choose", changed: "shop is under term 8 by now" });
  });

  it("that the cluster tells of is shown, whoever began it and however this page was opened", () => {
    expect(after({ does: "seen", recovery: running })).toMatchObject({ at: "running", id: "shop-8", mine: false });
    expect(after(...rehearsed, { does: "seen", recovery: running }).at).toBe("running");
  });

  it("that was asked for without an answer counts as one's own when it shows", () => {
    expect(after(...sent, { does: "refused", problem: new Offline("") }, { does: "seen", recovery: running })).toMatchObject({ at: "running", mine: true });
    expect(after(...sent, { does: "seen", recovery: running })).toMatchObject({ at: "confirming", sending: true });
  });

  it("that has ended does not come back with an old answer about the cluster", () => {
    const again = after(...sent, { does: "begun", recovery: running }, { does: "ended", recovery: running }, { does: "again" });
    expect(step(again, { does: "seen", recovery: running })).toBe(again);
  });
});

describe("what is asked for", () => {
  it("carries the term that the dry run was shown under", () => {
    expect(request(wish, 7, true)).toEqual({ kind: "planned", to: "db2:3306", expected_term: 7, dry_run: true });
    expect(request(wish, 7, false)).not.toHaveProperty("dry_run");
  });

  it("leaves out what belongs to the other kind of change", () => {
    const all: Wish = { ...wish, drain: "1.5", reason: " cable cut ", certifyDown: ["db1:3306"], acceptLoss: true, keepErrant: true };
    expect(request(all, 7, false)).toEqual({ kind: "planned", to: "db2:3306", expected_term: 7, drain_ms: 1500, reason: "cable cut" });
    expect(request({ ...all, kind: "emergency" }, 7, false)).toEqual({
      kind: "emergency", to: "db2:3306", expected_term: 7, certify_down: ["db1:3306"], accept_loss: true, keep_errant: true, reason: "cable cut",
    });
  });

  it("needs a reason for everything that somebody answers for", () => {
    expect(missing(wish)).toBeUndefined();
    for (const part of [{ certifyDown: ["db1:3306"] }, { acceptLoss: true }, { keepErrant: true }, { withoutStore: true }]) {
      const risky: Wish = { ...wish, kind: "emergency", ...part };
      expect(missing(risky)).toContain("reason");
      expect(missing({ ...risky, reason: "   " })).toContain("reason");
      expect(missing({ ...risky, reason: "power cut" })).toBeUndefined();
    }
    expect(missing({ ...wish, acceptLoss: true })).toBeUndefined(); // not sent with a planned change
  });

  it("takes no time to step down that is none", () => {
    for (const drain of ["soon", "-1", "601", "1e9"]) expect(missing({ ...wish, drain })).toContain("seconds");
  });

  it("is an emergency by itself where the primary has failed, unless the address says otherwise", () => {
    const servers = [{ address: "db2:3306" }] as Cluster["servers"];
    const cluster = { state: "primary_failed", servers } as Cluster;
    expect(wishFor(cluster, new URLSearchParams()).kind).toBe("emergency");
    expect(wishFor(cluster, new URLSearchParams("kind=planned&to=db2:3306"))).toMatchObject({ kind: "planned", to: "db2:3306" });
    expect(wishFor({ state: "healthy", servers } as Cluster, new URLSearchParams("kind=nonsense&to=db9:3306"))).toMatchObject({ kind: "planned", to: "" });
  });

  it("has a key of its own each time", () => {
    expect(newKey()).toMatch(/^[0-9a-f]{32}$/);
    expect(newKey()).not.toBe(newKey());
  });
});
