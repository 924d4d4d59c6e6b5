import { describe, expect, it } from "vitest";
import type { Rules } from "../api/types";
import { differences, missing, removed, request, wishFor } from "./wish";

const now: Rules = {
  number: 3, policy: "semi_sync", acks: 1,
  members: [{ address: "db1:3306", zone: "a", promotion: "neutral" }, { address: "db2:3306", zone: "b", promotion: "prefer" }, { address: "db3:3306", zone: "", promotion: "" }],
};

describe("other rules", () => {
  it("are all of them, bound to those that were seen", () => {
    expect(request({ ...wishFor(now), acks: "2", reason: "a second copy" }, now.number, true)).toEqual({
      policy: "semi_sync", acks: 2, ruleset: 3, dry_run: true, reason: "a second copy",
      members: [{ address: "db1:3306", zone: "a", promotion: "neutral" }, { address: "db2:3306", zone: "b", promotion: "prefer" }, { address: "db3:3306", zone: "", promotion: "neutral" }],
    });
  });

  it("are not sent as long as nothing is different", () => {
    expect(missing(wishFor(now), now)).toBe("These are the rules in force.");
    expect(differences(now, wishFor(now))).toEqual([]);
  });

  it("say in what they differ, a sentence for each", () => {
    const w = wishFor(now);
    w.members = [{ ...w.members[0]!, zone: "c" }, { ...w.members[1]!, promotion: "never" }, { address: " db4:3306 ", zone: "d", promotion: "avoid", source: "", fresh: true }];
    expect(differences(now, { ...w, acks: "2", gone: ["db3:3306"] })).toEqual([
      "durability: semi-sync, 1 acknowledgement → semi-sync, 2 acknowledgements",
      "db1:3306: zone a → c",
      "db2:3306: promotion prefer → never",
      "db4:3306 becomes a member, in zone d, promotion avoid",
      "db3:3306 is a member no more, and you vouch that it acknowledges nothing again",
    ]);
    expect(removed(now, w)).toEqual(["db3:3306"]);
  });

  it("keep from whom a member replicates, and say when that changes", () => {
    const cascade: Rules = { ...now, members: [...now.members.slice(0, 2), { address: "db3:3306", zone: "", promotion: "never", source: "db2:3306" }] };
    expect(request({ ...wishFor(cascade), acks: "2" }, 3, false).members[2]).toEqual({ address: "db3:3306", zone: "", promotion: "never", source: "db2:3306" });
    const back = wishFor(cascade);
    back.members[2]!.source = "";
    expect(differences(cascade, back)).toEqual(["db3:3306: replicates from db2:3306 → the primary"]);
    expect(request(back, 3, false).members[2]).toEqual({ address: "db3:3306", zone: "", promotion: "never" });
    const leads = wishFor(now);
    leads.members[2]!.source = "db2:3306";
    expect(missing(leads, now)).toContain("promotion never");
  });

  it("take nothing along that belongs to another policy, and vouch for nobody who stays", () => {
    const w = { ...wishFor({ ...now, policy: "none", acks: 0, allow_unfenced: true }), gone: ["db1:3306"] };
    expect(request(w, 3, false)).toMatchObject({ policy: "none", acks: 0, allow_unfenced: true });
    const semi = request({ ...w, policy: "semi_sync", acks: "1", zones: "2" }, 3, false);
    expect([semi.allow_unfenced, semi.zones, semi.gone]).toEqual([undefined, undefined, undefined]);
  });

  it("lack a number or an address that makes sense", () => {
    const w = wishFor(now);
    for (const bad of ["", "0", "1.5", "-1", "x"]) expect(missing({ ...w, acks: bad }, now)).toContain("acknowledgements");
    expect(missing({ ...w, policy: "zones", zones: "" }, now)).toContain("zones");
    expect(missing({ ...w, members: [...w.members, { ...w.members[0]!, fresh: true }] }, now)).toBe("db1:3306 is there twice.");
    expect(missing({ ...w, members: [...w.members, { address: " ", zone: "", promotion: "neutral", source: "", fresh: true }] }, now)).toContain("address");
  });
});
