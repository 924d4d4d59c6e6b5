import { describe, expect, it } from "vitest";
import type { Halt, HaltStage } from "../api/types";
import { recent, stands, told } from "./progress";
import { missing, pathOf, request, wishFor } from "./wish";

const stage = (server: string, name: string, ms: number): HaltStage =>
  ({ server, name, started_at: "2026-11-21T03:00:00Z", duration_ms: ms, duration_us: ms * 1000, outcome: "ok", detail: "", evidence: [] });

const halt = (part: Partial<Halt> = {}): Halt => ({
  id: "shop-1", cluster: "shop", kind: "restart", servers: ["db2", "db3", "db1"], server: "db3", step: "quiesce", step_at: "2026-11-21T03:00:04Z", state: "running",
  shutdown: false, drain_ms: 5000, hold_ms: 1, wait_ms: 1, tries: 0, detail: "", stages: [stage("db2", "check", 100), stage("db2", "stop", 1400), stage("db3", "check", 7)],
  by: "ada", reason: "upgrade", started_at: "2026-11-21T03:00:00Z", ...part,
});

const places = (h: Halt): string[] => stands(h).map((s) => s.place);

describe("a rolling restart", () => {
  it("tells what is over, what is being done and what comes next", () => {
    expect(places(halt())).toEqual(["done", "now", "next"]);
    expect(stands(halt())[0]!.took).toBe(1500);
    expect(told(halt())).toBe("1 of 3 servers restarted.");
  });

  it("that failed names the server, and says that others were not touched", () => {
    expect(places(halt({ state: "failed" }))).toEqual(["done", "failed", "untouched"]);
    expect(told(halt({ state: "failed" }))).toBe("It ended at db3. 1 of 3 restarted, 1 was not touched.");
  });

  it("has nothing left when it has succeeded, whatever server it names last", () => {
    expect(places(halt({ state: "succeeded", server: "db1" }))).toEqual(["done", "done", "done"]);
  });

  it("stays on the cluster's page when it ends, the longer the worse it ended", () => {
    const now = Date.parse("2026-11-21T03:30:00Z");
    const ended = (state: Halt["state"]): Halt => halt({ state, finished_at: "2026-11-21T03:20:00Z" });
    expect(recent(halt(), ended("failed"), now)?.state).toBe("running");
    expect(recent(undefined, ended("failed"), now)?.state).toBe("failed");
    expect(recent(undefined, ended("succeeded"), now)).toBeUndefined();
    expect(recent(undefined, halt(), now)).toBeUndefined();
  });
});

describe("a wish to stop or restart", () => {
  const c = { servers: [{ address: "db1" }, { address: "db2" }] } as unknown as Parameters<typeof wishFor>[0];
  const all = ["db1", "db2"];

  it("begins with what the address says", () => {
    expect(wishFor(c, new URLSearchParams("kind=stop&server=db2"))).toMatchObject({ kind: "stop", server: "db2" });
    expect(wishFor(c, new URLSearchParams("kind=stop&server=other"))).toMatchObject({ kind: "stop", server: "" });
    expect(wishFor(c, new URLSearchParams(""))).toMatchObject({ kind: "restart", servers: all });
  });

  it("names no server when all are meant, and sends no terms that belong to a restart when one is stopped", () => {
    const w = { ...wishFor(c, new URLSearchParams()), reason: " upgrade ", drain: "0.5", shutdown: true };
    expect(request(w, all, true)).toEqual({ shutdown: true, drain_ms: 500, dry_run: true, reason: "upgrade" });
    expect(request({ ...w, servers: ["db2"] }, all, false)).toMatchObject({ servers: ["db2"] });
    expect(request({ ...w, kind: "stop", server: "db1:3306", to: "db2" }, all, false)).toEqual({ to: "db2", drain_ms: 500, reason: "upgrade" });
    expect(pathOf("a/b", { ...w, kind: "stop", server: "db1:3306" })).toBe("/api/v1/clusters/a%2Fb/servers/db1%3A3306/stop");
  });

  it("lacks a server, or a time that makes sense", () => {
    const w = wishFor(c, new URLSearchParams());
    expect(missing(w)).toBeUndefined();
    expect(missing({ ...w, servers: [] })).toContain("Choose");
    expect(missing({ ...w, kind: "stop" })).toContain("Choose");
    for (const bad of ["0", "-1", "x", "601"]) expect(missing({ ...w, drain: bad })).toContain("seconds");
  });
});
