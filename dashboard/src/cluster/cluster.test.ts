// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { Cluster, Server } from "../api/types";
import { flow } from "./Drawing";
import { transactions } from "./gtid";
import { grown, ofTrends } from "./history";
import { failed, verdict, whyNot } from "./verdict";

const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

describe("transactions are counted", () => {
  it.each([
    ["", 0], [`${uuid}:1-5`, 5], [`${uuid}:7`, 1], [`${uuid}:1-5:7:9-10,\n${uuid}:1`, 9], [`${uuid}:1-3:term:1-4:other:2`, 8],
    ["<b>", 0], [`${uuid}:1-x y`, undefined],
  ])("in %j", (set, n) => expect(transactions(set)).toBe(n));
});

describe("the history", () => {
  const at = (s: number, lag: number | null, reachable = true): Cluster =>
    ({ probed_at: new Date(s * 1000).toISOString(), servers: [{ address: "a", lag_ms: lag, probe_ms: 2, reachable }] }) as unknown as Cluster;
  const empty = { times: [], servers: [], own: true };

  it("grows by one for each round of probes", () => {
    const h = grown(grown(grown(empty, at(1, 10)), at(1, 10)), at(2, null, false));
    expect(h.times).toEqual([1, 2]);
    expect(h.servers).toEqual([{ address: "a", lag: [10, null], probe: [2, null] }]);
  });
  it("does not grow without end", () => {
    let h = grown(empty, at(1, 1));
    for (let i = 2; i < 2000; i++) h = grown(h, at(i, i));
    expect([h.times.length, h.servers[0]!.lag.length, h.servers[0]!.lag.at(-1)]).toEqual([600, 600, 1999]);
  });
  it("of the control plane ends when it says", () => {
    const h = ofTrends({ step_ms: 2000, until: "2026-11-21T10:00:00Z", servers: [{ address: "a", lag_ms: [1, 2, 3], probe_ms: [1, 2, 3] }, { address: "young", lag_ms: [5], probe_ms: [5] }] });
    const end = Date.parse("2026-11-21T10:00:00Z") / 1000;
    expect(h.times).toEqual([end - 4, end - 2, end]);
    expect(h.servers[1]!.lag).toEqual([null, null, 5]);
  });
});

describe("what an edge says", () => {
  const server = (s: Partial<Server>): Server => ({ reachable: true, receiver: "on", applier: "on", lag_ms: 0, ...s }) as Server;

  it.each([
    ["all is well", {}, "good", "no lag"],
    ["it is far behind", { lag_ms: 90_000 }, "slow", "lag 1 min 30 s"],
    ["its lag is not known", { lag_ms: null }, "good", "lag unknown"],
    ["its applier has stopped", { applier: "off" as const, lag_ms: 12 }, "broken", "lag 12 ms"],
    ["it has lost its source: what it lacks then is not known", { receiver: "connecting" as const }, "broken", "all that arrived is applied"],
    ["it is not reached: nothing is known", { reachable: false }, "broken", ""],
  ])("when %s", (_, s, look, lag) => expect(flow(server(s))).toMatchObject({ look, lag }));
});

describe("a blocked cluster", () => {
  const finding = (code: string, why_not?: string): Cluster["findings"][number] => ({ code, severity: "critical", why_not }) as Cluster["findings"][number];
  const blocked = (server: Partial<Server>, findings: Cluster["findings"]): Parameters<typeof verdict>[0] =>
    ({ state: "blocked", primary: "a", servers: [{ address: "a", ...server } as Server], findings });

  it("whose primary works and waits is not told as one that has lost it", () => {
    const c = blocked({ reachable: true, role: "primary" }, [finding("semi_sync_blocked", "another primary would need as many")]);
    expect(verdict(c)).toBe("Writes wait: the primary works, and too few servers acknowledge.");
    expect([failed(c), whyNot(c)]).toEqual([false, "another primary would need as many"]);
  });

  it("whose primary is gone is", () => {
    const c = blocked({ reachable: false, role: "unreachable" }, [finding("primary_dead")]);
    expect(verdict(c)).toContain("has to be changed");
    expect([failed(c), whyNot(c)]).toEqual([true, undefined]);
  });
});
