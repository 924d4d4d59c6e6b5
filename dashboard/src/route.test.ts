// @vitest-environment node
import { describe, expect, it } from "vitest";
import { href, routeOf } from "./route";

describe("an address and its page", () => {
  it("belong together for every name that a cluster may have", () => {
    for (const name of ["shop", "a/b", "50%", "ü ?#&", "<b>"]) {
      expect(routeOf(href.cluster(name))).toMatchObject({ page: "cluster", cluster: name });
      expect(routeOf(href.change(name, { kind: "planned", to: "db1:3306" }))).toMatchObject({ page: "change", cluster: name });
      expect(routeOf(href.errant(name, { server: "db1:3306" }))).toMatchObject({ page: "errant", cluster: name });
      expect(routeOf(href.check(name))).toMatchObject({ page: "check", cluster: name });
      expect(routeOf(href.recovery(name))).toMatchObject({ page: "recovery", id: name });
      expect(routeOf(href.recoveries({ cluster: name })).query.get("cluster")).toBe(name);
    }
  });
  it("without anything is the fleet", () => expect(routeOf("").page).toBe("fleet"));
  it("that is unknown says so", () => expect(routeOf("#/nowhere/else")).toMatchObject({ page: "lost", path: "/nowhere/else" }));
  it("with a stray % is taken as it stands", () => expect(routeOf("#/clusters/%zz")).toMatchObject({ cluster: "%zz" }));
});
