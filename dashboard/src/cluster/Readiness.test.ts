// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { Case, Cluster } from "../api/types";
import { byWhom, choices, survived } from "./Readiness";

const closed = { open: false, held: false, left_ms: 0, reason: "", lift: "" };

describe("a promotion happens", () => {
  it("by itself where nothing keeps it", () => expect(byWhom({ automation: true, antiflap: closed }, undefined)).toBe("By itself."));
  it("by hand where the control plane says why", () => expect(byWhom({ automation: true, antiflap: closed }, "elector-2 acts")).toBe("Only by hand: elector-2 acts."));
  it("by hand where automation is off", () => expect(byWhom({ automation: false, antiflap: closed }, undefined)).toContain("automation is off"));
  it("by hand while the window is open", () =>
    expect(byWhom({ automation: true, antiflap: { ...closed, open: true, until: new Date(Date.now() + 90_500).toISOString() } }, undefined)).toMatch(/^Only by hand for another 1 min (30|29) s/));
  it("by hand without end while the window is held", () => expect(byWhom({ automation: true, antiflap: { ...closed, open: true, held: true } }, undefined)).toContain("until the anti-flapping window is lifted"));
});

describe("a failure is survived", () => {
  it.each([["unaffected", true], ["promoted", true], ["writes_wait", false], ["blocked", false], ["unknown", false]] as const)("when it leaves %s: %s", (outcome, yes) =>
    expect(survived({ kind: "server", failed: ["a"], outcome } as Case)).toBe(yes));
});

describe("what may be said to fail", () => {
  it("is each server and each zone", () => {
    const servers = [{ address: "db1", zone: "b" }, { address: "db2", zone: "a" }, { address: "db3", zone: "" }] as Cluster["servers"];
    expect(choices({ servers }).map(([fail]) => fail)).toEqual(["db1", "db2", "db3", "zone:a", "zone:b"]);
  });
});
