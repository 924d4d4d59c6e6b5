// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { Finding, State, Summary } from "../api/types";
import { counts, held, matches, troubleFirst, worst } from "./order";
import { visible } from "./rows";

const finding = (severity: Finding["severity"], code = "primary_dead"): Finding => ({ code, severity, message: `${code} somewhere`, evidence: [], remedy: "", since: "" });
const cluster = (name: string, state: State, ...findings: Finding[]): Summary => ({ name, state, findings, primary: `db1.${name}:3306`, term: 1, servers: 3, reachable: 3, elector: "e1", finding_count: findings.length, automation: true, antiflap_open: false, fresh: true, leading: true });
const names = (all: Summary[]): string => all.map((c) => c.name).join(" ");

describe("the fleet", () => {
  const fleet = [cluster("b", "healthy"), cluster("a", "healthy"), cluster("c", "degraded", finding("info")), cluster("d", "blocked", finding("critical")), cluster("e", "degraded", finding("info"), finding("warning"))];

  it("has those first that need somebody", () => expect(names(troubleFirst(fleet))).toBe("d e c a b"));
  it("names the worst finding", () => expect(worst([finding("info"), finding("critical", "x"), finding("warning")])?.code).toBe("x"));
  it("is counted by state", () => expect(counts(fleet)).toMatchObject({ healthy: 2, degraded: 2, blocked: 1, unknown: 0 }));
  it.each([["", true], ["D", true], ["db1.d", true], ["primary dead", true], ["nobody", false], ["d nobody", false], ["e1 PRIMARY_DEAD", true]])("is searched for every word of %j", (search, found) =>
    expect(matches(fleet[3]!, search)).toBe(found));
  it("keeps its order while somebody is about to click, with new clusters last", () =>
    expect(names(held([cluster("new", "blocked"), ...troubleFirst(fleet)], ["a", "gone", "b", "c", "d", "e"]))).toBe("a b c d e new"));
});

describe("of many rows", () => {
  it.each([
    ["at the top", 0, 800, { first: 0, last: 28 }],
    ["in the middle", 20_000, 20_800, { first: 492, last: 528 }],
    ["at the end", 39_200, 40_000, { first: 972, last: 1000 }],
    ["far below, after the list became shorter", 99_000, 99_800, { first: 1000, last: 1000 }],
    ["far above", -5000, -4200, { first: 0, last: 0 }],
  ])("those near the screen are drawn %s", (_, top, bottom, range) => expect(visible(top, bottom, 40, 1000)).toEqual(range));
});
