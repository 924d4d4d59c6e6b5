import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SettingsCheck, SettingsFinding } from "../api/types";
import { hostile } from "../recoveries/examples";
import { until } from "../until";
import { CheckPage } from "./CheckPage";
import { groups, where } from "./groups";

const finding = (part: Partial<SettingsFinding> = {}): SettingsFinding =>
  ({ code: "sync_relay_log", severity: "warning", server: "db1", message: "sync_relay_log is 10000", permits: "a crash loses it", mend: "SET PERSIST", ...part });

describe("findings of settings", () => {
  it("that several servers share are told once", () => {
    const all = groups([finding(), finding({ server: "db2" }), finding({ server: "db3", message: "sync_relay_log is 0" })]);
    expect(all.map((g) => g.servers)).toEqual([["db1", "db2"], ["db3"]]);
  });
  it("come with the gravest first", () => {
    expect(groups([finding({ severity: "info" }), finding({ severity: "critical", code: "a" }), finding()]).map((g) => g.severity)).toEqual(["critical", "warning", "info"]);
  });
  it("of the cluster as a whole are not put together", () => {
    expect(groups([finding({ server: undefined }), finding({ server: undefined })])).toHaveLength(2);
  });
  it("name their servers", () => {
    expect([where([], 3), where(["a", "b", "c"], 3), where(["a", "b"], 2)]).toEqual(["the cluster as a whole", "all 3 servers", "a, b"]);
  });
});

describe("the page of the settings check", () => {
  let root: Root;
  let check: SettingsCheck;

  beforeEach(() => {
    (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
    vi.stubGlobal("fetch", async () => new Response(JSON.stringify(check)));
    document.body.innerHTML = "<div></div>";
    root = createRoot(document.body.firstElementChild!);
  });
  afterEach(() => {
    act(() => root.unmount());
    vi.unstubAllGlobals();
  });

  const opened = async (part: Partial<SettingsCheck>): Promise<void> => {
    check = { cluster: "shop", checked_at: "2026-11-21T16:40:02.000000Z", durability: { policy: "semi_sync", acks: 1, acks_needed: 1, ruleset: 1 }, servers: [{ address: "db1", reach: "ok", unread: [] }], findings: [], ...part };
    act(() => root.render(<CheckPage cluster="shop" />));
    await until(() => document.querySelector("[data-test=check-result]") !== null);
  };

  it("does not call a server fine that was not reached", async () => {
    await opened({ servers: [{ address: "db1", reach: "refused", unread: [] }, { address: "db2", reach: "ok", unread: ["mysql.user: denied"] }] });
    expect(document.body.textContent).toContain("1 was not reached");
    expect(document.body.textContent).toContain("mysql.user: denied");
  });

  for (const text of hostile) {
    it(`shows ${text.slice(0, 30)} as text`, async () => {
      await opened({ findings: [finding({ code: text, server: text, message: text, permits: text, mend: text }), finding({ fix: text })], servers: [{ address: text, reach: text, unread: [text] }] });
      expect(document.body.querySelectorAll("img, script, iframe, style")).toHaveLength(0);
      expect(document.body.textContent).toContain(text.slice(-20).replace(/[\u202a-\u202e\u2066-\u2069]/g, "").slice(-5));
    });
  }
});
