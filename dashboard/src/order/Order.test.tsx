import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Cluster, Halt, Rules } from "../api/types";
import { HaltPage } from "../halt/HaltPage";
import { hostile, recoveryOf, stageOf } from "../recoveries/examples";
import { RulesPage } from "../rules/RulesPage";
import { until } from "../until";

type Sent = { path: string; body: Record<string, unknown>; key: string | null };

let root: Root;
let sent: Sent[];
let answer: (s: Sent) => { status: number; body: unknown };
let cluster: Cluster;
let rules: Rules;

const server = (address: string): Cluster["servers"][number] => ({ address, role: "replica", zone: "a", promotion: "neutral", reachable: true, errant_transactions: 0, errors: [] }) as unknown as Cluster["servers"][number];
const halting: Halt = {
  id: "shop-1", cluster: "shop", kind: "restart", servers: ["db2:3306", "db1:3306"], server: "db2:3306", step: "start", step_at: "2026-11-21T03:00:00Z", state: "running", shutdown: true,
  drain_ms: 1, hold_ms: 1, wait_ms: 1, tries: 1, detail: "it is down", code: "start_it", stages: [{ server: "db2:3306", ...stageOf({ name: "stop" }) }], by: "ada", reason: "upgrade", started_at: "2026-11-21T03:00:00Z",
};

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  window.location.hash = "#/clusters/shop/rules";
  cluster = { name: "shop", term: 7, state: "healthy", primary: "db1:3306", servers: [server("db1:3306"), server("db2:3306")] } as unknown as Cluster;
  rules = { number: 3, policy: "semi_sync", acks: 1, members: [{ address: "db1:3306", zone: "a", promotion: "neutral" }, { address: "db2:3306", zone: "a", promotion: "neutral" }] };
  sent = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const told = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status });
    if (init.method === "POST" || init.method === "PUT") {
      const s = { path, body: JSON.parse(init.body as string) as Record<string, unknown>, key: new Headers(init.headers).get("Idempotency-Key") };
      sent.push(s);
      const a = answer(s);
      return told(a.status, a.body);
    }
    if (path.endsWith("/rules")) return told(200, rules);
    if (path.includes("/halts")) return told(200, { halts: cluster.halting ? [cluster.halting] : [] });
    if (path.includes("/recoveries/")) return told(200, recoveryOf({ id: "shop-8", kind: "rules", state: "running", stages: [stageOf({ name: "barrier" })] }));
    if (path.includes("/recoveries")) return told(200, { recoveries: [] });
    return told(200, cluster);
  });
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild!);
});

afterEach(() => {
  act(() => root.unmount());
  vi.unstubAllGlobals();
});

const at = <T extends HTMLElement>(test: string): T | null => document.querySelector<T>(`[data-test="${test}"]`);

async function fill(test: string, text: string): Promise<void> {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(at(test), text);
    at(test)!.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

async function press(test: string): Promise<void> {
  await act(async () => at(test)!.click());
}

describe("changing the rules", () => {
  const opened = async (): Promise<void> => {
    act(() => root.render(<RulesPage cluster="shop" />));
    await until(() => at("rules-acks") !== null);
  };

  it("shows what the check of both sides says against it, and offers no way on", async () => {
    const obstacle = { code: "too_few_ackers", message: "only db2:3306 can now", needs: [["db3:3306"]], remedy: "mend those" };
    answer = () => ({ status: 409, body: { status: 409, code: "blocked", detail: "blocked: only db2:3306 can now", obstacle } });
    await opened();
    expect(at<HTMLButtonElement>("order-dry-run")!.disabled).toBe(true);
    await fill("rules-acks", "2");
    await press("order-dry-run");
    await until(() => at("obstacle") !== null);
    expect(at("obstacle")!.textContent).toContain("mend those");
    expect(at("order-go")).toBeNull();
  });

  it("is bound to the rules that were seen, needs reason and name, and is then watched with its barrier", async () => {
    const steps = [{ phase: "barrier", title: "barrier", commands: [], save_first: false }];
    answer = (s) => (s.body.dry_run ? { status: 200, body: { recovery: recoveryOf({ kind: "rules" }), steps } } : { status: 202, body: { recovery: recoveryOf({ id: "shop-8", kind: "rules", state: "running" }) } });
    await opened();
    await fill("rules-acks", "2");
    await press("order-dry-run");
    await until(() => at("order-go") !== null);
    await fill("order-confirm", "shop");
    expect(at<HTMLButtonElement>("order-go")!.disabled).toBe(true);
    await fill("rules-reason", "a second copy"); // another reason is the same deed: the dry run still holds
    expect(at<HTMLButtonElement>("order-go")!.disabled).toBe(false);
    await fill("order-confirm", "sho");
    expect(at<HTMLButtonElement>("order-go")!.disabled).toBe(true);
    await fill("order-confirm", "shop");
    await press("order-go");
    await until(() => document.querySelector(`[data-test="stage"][data-name="barrier"]`) !== null);
    expect(sent.map((s) => [s.body.dry_run, s.body.ruleset, s.body.acks, s.key !== null])).toEqual([[true, 3, 2, false], [undefined, 3, 2, true]]);
  });

  it("says what was put on record where somebody vouches for the rules, and watches nothing", async () => {
    const told = (vouched: string) => ({ status: 200, body: { recovery: recoveryOf({ id: "", kind: "rules", state: "succeeded", stages: [] }), vouched } });
    answer = (s) => told(s.body.dry_run ? "these rules would be put on record as ruleset 5" : "they are on record as ruleset 5");
    await opened();
    await fill("rules-acks", "2");
    await fill("rules-reason", "as before the restore");
    await press("order-dry-run");
    await until(() => at("order-go") !== null);
    expect(at("order-plan")!.textContent).toContain("would be put on record as ruleset 5");
    await fill("order-confirm", "shop");
    await press("order-go");
    await until(() => at("rules-vouched") !== null);
    expect(at("rules-vouched")!.textContent).toContain("they are on record as ruleset 5");
    expect(at("rules-change")).toBeNull();
  });

  it("takes a dry run anew when something else is wished for", async () => {
    answer = () => ({ status: 200, body: { recovery: recoveryOf({ kind: "rules" }), steps: [] } });
    await opened();
    await fill("rules-acks", "2");
    await press("order-dry-run");
    await until(() => at("order-go") !== null);
    await fill("rules-acks", "3");
    expect(at("order-go")).toBeNull();
  });
});

describe("restarting servers", () => {
  it("says why the control plane refuses, that nothing was changed, and offers no way on", async () => {
    answer = () => ({ status: 409, body: { status: 409, code: "cannot_stop", detail: hostile[0] } });
    act(() => root.render(<HaltPage cluster="shop" />));
    await until(() => at("order-dry-run") !== null);
    await fill("halt-reason", "upgrade");
    await press("order-dry-run");
    await until(() => at("problem") !== null);
    expect(at("refused")!.textContent).toContain("It could not be done as things stand. Nothing was changed.");
    expect(at("problem")!.textContent).toContain(hostile[0]);
    expect(at("order-go")).toBeNull();
  });

  it("does not take an answer that says nothing for a refusal", async () => {
    answer = () => ({ status: 502, body: "<html>" });
    act(() => root.render(<HaltPage cluster="shop" />));
    await until(() => at("order-dry-run") !== null);
    await fill("halt-reason", "upgrade");
    await press("order-dry-run");
    await until(() => at("problem") !== null);
    expect(at("refused")!.textContent).toContain("Let it run again");
    expect(at("problem")!.textContent).toContain("That is no answer of Primacy");
  });

  it("shows the end in the same answer in which it is no longer under way", async () => {
    cluster.halting = halting;
    act(() => root.render(<HaltPage cluster="shop" />));
    await until(() => at("halt")?.dataset.state === "running");
    cluster = { ...cluster, halting: undefined, halted: { ...halting, state: "succeeded", finished_at: "2026-11-21T03:09:00Z" } };
    await until(() => at("halt")?.dataset.state !== "running");
    expect(at("halt")!.dataset.state).toBe("succeeded");
  });

  it("shows what is under way in place of the form, and whom it waits for", async () => {
    cluster.halting = halting;
    act(() => root.render(<HaltPage cluster="shop" />));
    await until(() => at("halt") !== null);
    expect(at("order-dry-run")).toBeNull();
    expect(at("halt-why")!.textContent).toContain("Start db2:3306 now.");
    expect(at("halt-why")!.textContent).toContain("One try has failed");
    expect([...document.querySelectorAll<HTMLElement>(`[data-test="halt-server"]`)].map((e) => e.dataset.place)).toEqual(["now", "next"]);
  });

  for (const text of hostile) {
    it(`shows ${JSON.stringify(text.slice(0, 30))} as text`, async () => {
      cluster.halting = { ...halting, servers: [text, "db1:3306"], server: text, detail: text, by: text, reason: text, stages: [{ server: text, ...stageOf({ name: text, detail: text, evidence: [text] }) }] };
      rules = { ...rules, members: [{ address: text, zone: text, promotion: text }] };
      act(() => root.render(<><HaltPage cluster="shop" /><RulesPage cluster="shop" /></>));
      await until(() => at("halt") !== null && at("rules-member") !== null);
      expect(document.querySelectorAll("img, script, iframe")).toHaveLength(0);
      expect(document.body.textContent).toContain(text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (c) => `⟨U+${c.codePointAt(0)!.toString(16).toUpperCase()}⟩`));
      expect((window as { hacked?: number }).hacked).toBeUndefined();
    });
  }
});
