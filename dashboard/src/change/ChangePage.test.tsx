import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Cluster, Recovery, ReparentRequest } from "../api/types";
import { hostile, recoveryOf } from "../recoveries/examples";
import { until } from "../until";
import { ChangePage } from "./ChangePage";

type Sent = { body: ReparentRequest; key: string | null };
type Answer = { status: number; body: unknown } | "broken";

let root: Root;
let sent: Sent[];
let cluster: Cluster;
let recovery: Recovery;
let answers: ((s: Sent) => Answer)[]; // to the changes asked for, in order; the last one stays

const server = (address: string, part = {}): Cluster["servers"][number] =>
  ({ address, role: "replica", zone: "a", promotion: "neutral", reachable: true, lag_ms: 0, errant_transactions: 0, errors: [], ...part }) as unknown as Cluster["servers"][number];

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  window.location.hash = "#/clusters/shop/change";
  cluster = { name: "shop", term: 7, state: "healthy", primary: "db1:3306", servers: [server("db1:3306"), server("db2:3306")], findings: [], antiflap: { open: false }, automation: true } as unknown as Cluster;
  recovery = recoveryOf({ id: "shop-8", state: "running" });
  sent = [];
  answers = [(s) => (s.body.dry_run ? { status: 200, body: { recovery: recoveryOf({ id: "dry-run" }), steps: [{ phase: "demoting", title: "db1:3306 steps down", commands: ["demote db1:3306"], save_first: true }] } } : { status: 202, body: { recovery } })];
  vi.stubGlobal("fetch", answering);
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild!);
});

afterEach(() => {
  act(() => root.unmount());
  vi.unstubAllGlobals();
});

async function answering(path: string, init: RequestInit): Promise<Response> {
  const told = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  if (init.method === "POST") {
    const s = { body: JSON.parse(init.body as string) as ReparentRequest, key: new Headers(init.headers).get("Idempotency-Key") };
    sent.push(s);
    const answer = (answers.length > 1 ? answers.shift()! : answers[0]!)(s);
    if (answer === "broken") throw new TypeError("network");
    return told(answer.status, answer.body);
  }
  if (path.includes("/recoveries/")) return told(200, recovery);
  if (path.includes("/recoveries")) return told(200, { recoveries: [] });
  return told(200, cluster);
}

const at = <T extends HTMLElement>(test: string): T | null => document.querySelector<T>(`[data-test="${test}"]`);

async function opened(): Promise<void> {
  act(() => root.render(<ChangePage cluster="shop" />));
  await until(() => at("change-dry-run") !== null || at("change-running") !== null);
}

async function press(test: string): Promise<void> {
  await act(async () => at(test)!.click());
}

async function type(text: string): Promise<void> {
  const field = at<HTMLInputElement>("change-confirm")!;
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

const ready = (): boolean => !at<HTMLButtonElement>("change-go")!.disabled;

async function rehearsed(): Promise<void> {
  await opened();
  await press("change-dry-run");
  await until(() => at("change-go") !== null);
}

describe("the button that changes the primary", () => {
  it("is there only after a dry run, and works only with the exact name of the cluster", async () => {
    await opened();
    expect(at("change-go")).toBeNull();
    await press("change-dry-run");
    await until(() => at("change-step") !== null);
    expect(sent.map((s) => s.body.dry_run)).toEqual([true]);
    for (const wrong of ["", "sho", "Shop", "shop ", " shop", "shops", "ѕhop"]) {
      await type(wrong);
      expect(ready(), `"${wrong}"`).toBe(false);
    }
    await press("change-go");
    expect(sent).toHaveLength(1);
    await type("shop");
    expect(ready()).toBe(true);
  });

  it("begins the change once, under the term that was shown, and shows it live", async () => {
    await rehearsed();
    await type("shop");
    await press("change-go");
    await until(() => at("change-running") !== null);
    expect(sent[1]!.body).toEqual({ kind: "planned", expected_term: 7 });
    expect(sent[1]!.key).toMatch(/^[0-9a-f]{32}$/);
    expect(document.body.textContent).toContain("Closing this page does not stop it");
    recovery = { ...recovery, state: "succeeded" };
    await until(() => at("change-running") === null);
    expect(at("loss")!.textContent).toBe("Nothing acknowledged was lost.");
  });

  it("asks again under the same key when no answer came", async () => {
    answers = [answers[0]!, () => "broken", answers[0]!];
    await rehearsed();
    await type("shop");
    await press("change-go");
    await until(() => at("change-unanswered") !== null);
    await press("change-go");
    await until(() => at("change-running") !== null);
    expect(sent[2]!.key).toBe(sent[1]!.key);
    expect(sent[2]!.body).toEqual(sent[1]!.body);
  });

  it("leads back to the dry run when the cluster has changed since", async () => {
    answers = [answers[0]!, () => ({ status: 409, body: { code: "changed", detail: "shop is under term 8 by now" } }), answers[0]!];
    await rehearsed();
    await type("shop");
    await press("change-go");
    await until(() => at("change-changed") !== null);
    expect(at("change-go")).toBeNull();
    expect(at("change-changed")!.textContent).toContain("shop is under term 8 by now");
  });
});

describe("a change that is refused", () => {
  it("says what stands against it, what it needs and what one can do", async () => {
    const obstacle = { code: "not_revoked", message: "db1:3306 may still complete writes", needs: [["db1:3306"], ["db3:3306"]], remedy: "bring one of them back" };
    answers = [() => ({ status: 409, body: { code: "blocked", detail: "not_revoked: it would not be safe", obstacle } })];
    await opened();
    await press("change-dry-run");
    await until(() => at("obstacle") !== null);
    expect(document.body.textContent).toContain("bring one of them back");
    expect(at("change-go")).toBeNull();
  });

  it("cannot be begun when the dry run would not end well", async () => {
    answers = [() => ({ status: 200, body: { recovery: recoveryOf({ state: "undone" }), steps: [] } })];
    await opened();
    await press("change-dry-run");
    await until(() => at("rehearsal") !== null);
    expect(at("change-go")).toBeNull();
  });
});

describe("a change under way", () => {
  it("is shown when the page is opened in the middle of it", async () => {
    cluster = { ...cluster, recovery };
    await opened();
    expect(at("change-running")!.textContent).toContain("under way");
    expect(sent).toEqual([]);
  });
});

describe("a cluster that somebody hostile named", () => {
  it("is shown as text, and its name has to be typed as it is", async () => {
    cluster = { ...cluster, name: hostile[0]!, primary: hostile[1]!, servers: hostile.map((h) => server(h, { zone: h, promotion: h, role: h, maintenance: { by: h, reason: h } })) };
    answers = [() => ({ status: 200, body: { recovery: recoveryOf({ from: hostile[0]!, to: hostile[3]! }), steps: [{ phase: "x", title: hostile[1]!, commands: hostile, save_first: false }] } })];
    await opened();
    await press("change-dry-run");
    await until(() => at("change-step") !== null);
    expect(document.body.querySelectorAll("img, script, iframe")).toHaveLength(0);
    expect(document.body.textContent).toContain(hostile[0]);
    await type("shop");
    expect(ready()).toBe(false);
    await type(hostile[0]!);
    expect(ready()).toBe(true);
  });
});
