import { describe, expect, it } from "vitest";
import { recoveryOf } from "./examples";
import { filterOf, merged, pathOf } from "./list";

describe("the list of changes", () => {
  it("asks for what the address says, and for no words that the API would refuse", () => {
    const f = filterOf(new URLSearchParams("cluster=shop&kind=emergency&state=failed,nonsense,blocked&automatic=perhaps"));
    expect(pathOf(f, 50)).toBe("/api/v1/recoveries?cluster=shop&kind=emergency&state=blocked%2Cfailed&limit=50&brief=true");
    expect(pathOf(f, 50, "c1")).toContain("&before=c1");
  });

  it("loses nothing that new changes push from the first page to the second", () => {
    const at = (id: string, started_at: string) => recoveryOf({ id, started_at });
    const seen = [at("shop-2", "2026-11-21T16:40:02Z"), at("shop-1", "2026-11-21T16:40:01Z")];
    const told = [at("shop-3", "2026-11-21T16:40:03Z"), { ...at("shop-2", "2026-11-21T16:40:02Z"), state: "undone" as const }];
    const all = merged(seen, told);
    expect(all.map((r) => r.id)).toEqual(["shop-3", "shop-2", "shop-1"]);
    expect(all[1]!.state).toBe("undone");
  });
});
