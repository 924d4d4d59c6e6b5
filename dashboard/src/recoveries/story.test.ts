import { describe, expect, it } from "vitest";
import { certificateOf, recoveryOf, stageOf } from "./examples";
import { bars, deeds, gaps, leftOut, loss, micros } from "./story";

describe("the time line", () => {
  it("tells stages apart that are shorter than a millisecond", () => {
    expect(micros("2026-11-21T16:40:02.000150Z") - micros("2026-11-21T16:40:02Z")).toBe(150);
    expect(micros("2026-11-21T16:40:02.1Z") - micros("2026-11-21T16:40:02Z")).toBe(100_000);
  });

  it("puts all stages on one scale, which ends with the last one", () => {
    const r = recoveryOf({
      stages: [
        stageOf({ started_at: "2026-11-21T16:40:02.000000Z", duration_us: 25_000 }),
        stageOf({ started_at: "2026-11-21T16:40:02.025000Z", duration_us: 75_000 }),
      ],
    });
    expect(bars(r, 0)).toEqual([
      { began: 0, took: 25, left: 0, width: 25 },
      { began: 25, took: 75, left: 25, width: 75 },
    ]);
  });

  it("shows the phase under way until now", () => {
    const r = recoveryOf({ state: "running", stages: [stageOf({ started_at: "2026-11-21T16:40:02.000000Z", duration_us: 250_000 })] });
    const [done, going] = bars(r, Date.parse("2026-11-21T16:40:03Z"));
    expect(done).toMatchObject({ left: 0, width: 25 });
    expect(going).toEqual({ began: 250, took: 750, left: 25, width: 75 });
  });

  it("has room for a change that took no time, and for a clock that runs behind", () => {
    expect(bars(recoveryOf({ stages: [stageOf({ started_at: "2026-11-21T16:40:02.000000Z", duration_us: 0 })] }), 0)[0]).toMatchObject({ left: 0, width: 0 });
    expect(bars(recoveryOf({ state: "running" }), 0)[0]).toMatchObject({ took: 0 });
  });
});

describe("what a change did not take over", () => {
  const seen = { read_at: "2026-11-21T16:40:02Z" };

  it("is nothing when every server that led was read, and showed no more than what is honoured", () => {
    const r = recoveryOf({ certificate: certificateOf({ servers: [{ address: "db1:3306", ...seen }, { address: "db2:3306", ...seen }] }) });
    expect(leftOut(r)).toEqual({ held: [], unread: [] });
  });

  it("is counted for each server that showed more", () => {
    const set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:41-42";
    const r = recoveryOf({ certificate: certificateOf({ servers: [{ address: "db1:3306", ...seen, left_out: set }] }) });
    expect(leftOut(r).held).toEqual([{ address: "db1:3306", set, count: 2 }]);
  });

  it("names leaders that nobody could read, but not where no primary was replaced", () => {
    const leaders = [{ address: "db3:3306", term: 5, acks: 1, certified: false }];
    const r = recoveryOf({ certificate: certificateOf({ leaders, servers: [{ address: "db2:3306", ...seen }] }) });
    expect(leftOut(r).unread).toEqual(["db1:3306", "db3:3306"]);
    expect(leftOut({ ...r, state: "blocked" }).unread).toEqual([]);
    expect(leftOut({ ...r, kind: "planned" }).unread).toEqual([]);
  });
});

describe("what was lost", () => {
  it("is nothing when a change succeeded and nobody accepted a loss", () => {
    expect(loss(recoveryOf())).toEqual({ tone: "ok", says: "Nothing acknowledged was lost.", what: [] });
  });

  it("is not decided while a change is under way, nor known when it failed in the middle", () => {
    expect(loss(recoveryOf({ state: "running" })).tone).toBe("open");
    expect(loss(recoveryOf({ state: "failed" })).tone).toBe("open");
  });

  it("names what was accepted, why and by whom", () => {
    const told = loss(
      recoveryOf({
        by: "grace",
        reason: "PDU 7 burnt",
        certificate: certificateOf({ accept_loss: true }),
        stages: [stageOf({ name: "choose", evidence: ["db2:3306: also able", "loss accepted by grace (PDU 7 burnt): db1:3306 may hold more"] })],
      }),
    );
    expect(told.tone).toBe("bad");
    expect(told.says).toContain("grace accepted that: PDU 7 burnt");
    expect(told.what).toEqual(["loss accepted by grace (PDU 7 burnt): db1:3306 may hold more"]);
  });

  it("says that an accepted loss was not needed when the choice names none", () => {
    const told = loss(recoveryOf({ by: "grace", certificate: certificateOf({ accept_loss: true }) }));
    expect(told.tone).toBe("warn");
    expect(told.says).toContain("found none");
  });

  it("does not say without reserve that nothing was lost when it rests on somebody's word", () => {
    const told = loss(recoveryOf({ by: "grace", certificate: certificateOf({ certified_down: ["db1:3306"] }) }));
    expect(told.tone).toBe("warn");
    expect(told.what).toEqual(["grace vouched that db1:3306 is powered off"]);
  });

  it("does not promise anything under durability policy none", () => {
    const none = certificateOf({ ruleset: { number: 1, policy: "none", acks: 0, members: [], allow_unfenced: true } });
    expect(loss(recoveryOf({ certificate: none })).tone).toBe("warn");
    expect(loss(recoveryOf({ certificate: none, kind: "planned" })).tone).toBe("ok");
    const named = recoveryOf({ certificate: none, stages: [stageOf({ name: "choose", evidence: ["may be lost, for the durability policy is none: db1:3306 is out of reach"] })] });
    expect(loss(named).tone).toBe("bad");
  });
});

describe("a witness", () => {
  it("tells what was tried and what came of it, and nothing of what was not", () => {
    expect(deeds({ address: "db1:3306", frozen: "yes", silenced: "no", silenced_with: "poison", applied: "skipped", attached: "" })).toEqual([
      { did: "frozen", outcome: "yes" },
      { did: "silenced (poison)", outcome: "no" },
    ]);
  });
});

describe("experience", () => {
  it("is of the same kind of change only, and of those that succeeded", () => {
    const planned = (gap_ms: number) => recoveryOf({ kind: "planned", gap_ms });
    expect(gaps([planned(12), recoveryOf({ gap_ms: 900 }), recoveryOf({ kind: "planned", state: "undone", gap_ms: 5000 }), planned(40)], "planned")).toEqual([12, 40]);
    expect(gaps([1, 2, 3, 4, 5, 6].map(planned), "planned")).toHaveLength(5);
  });
});
