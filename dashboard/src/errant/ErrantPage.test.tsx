import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ErrantServer, Settlement, SettleRequest } from "../api/types";
import { hostile, stageOf } from "../recoveries/examples";
import { until } from "../until";
import { errantOf, settlementOf } from "./examples";
import { ErrantPage } from "./ErrantPage";

let root: Root;
let servers: ErrantServer[];
let settlements: Settlement[];
let sent: SettleRequest[];
let reads: number;
let broken: boolean; // whether reading answers 500

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  window.location.hash = "#/clusters/shop/errant";
  [servers, settlements, sent, reads, broken] = [[errantOf()], [], [], 0, false];
  vi.stubGlobal("fetch", answering);
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild!);
});

afterEach(() => {
  act(() => root.unmount());
  vi.unstubAllGlobals();
});

async function answering(path: string, init: RequestInit): Promise<Response> {
  if (init.method === "POST") {
    const asked = JSON.parse(init.body as string) as SettleRequest;
    sent.push(asked);
    if (!asked.dry_run) settlements = [settlementOf()];
    return new Response(JSON.stringify({ settlement: settlementOf(), steps: ["export", "check"], check: { possible: true, detail: "61 rows can be undone" } }), { status: asked.dry_run ? 200 : 202 });
  }
  if (path.includes("settlements")) return new Response(JSON.stringify({ settlements }));
  reads++;
  if (broken) return new Response(JSON.stringify({ status: 500, code: "internal", detail: "the log is gone" }), { status: 500 });
  return new Response(JSON.stringify({ servers }));
}

const at = <T extends HTMLElement>(test: string): T | null => document.querySelector<T>(`[data-test="${test}"]`);

async function opened(): Promise<void> {
  act(() => root.render(<ErrantPage cluster="shop" />));
  await until(() => (at("errant-server") ?? at("settling")) !== null);
}

async function fill(test: string, text: string): Promise<void> {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(at(test), text);
    at(test)!.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

async function press(test: string): Promise<void> {
  await act(async () => at(test)!.click());
}

describe("the page of errant transactions", () => {
  it("pages through rows", async () => {
    await opened();
    expect(document.querySelectorAll("[data-test=errant-row]")).toHaveLength(25);
    await press("page-next");
    await press("page-next");
    expect(document.querySelectorAll("[data-test=errant-row]")).toHaveLength(10);
    expect(document.body.textContent).toContain("rows 51–60 of 60");
  });

  it("settles after a dry run, a reason and the typed address, and shows how it goes on", async () => {
    await opened();
    expect(at("settle-go")).toBeNull();
    await fill("settle-reason", "as proven");
    await press("settle-dry-run");
    await until(() => at("settle-check") !== null);
    await fill("settle-confirm", "db3:330");
    expect(at<HTMLButtonElement>("settle-go")!.disabled).toBe(true);
    await fill("settle-confirm", "db3:3306");
    await press("settle-go");
    await until(() => at("settlement") !== null);
    expect(sent).toEqual([{ action: "rewind", dry_run: true, reason: "as proven" }, { action: "rewind", reason: "as proven" }]);
    expect(at("settlement")!.dataset).toMatchObject({ state: "running", step: "check" });
  });

  it("reads the logs again when a settlement has ended, and not at every look", async () => {
    settlements = [settlementOf()];
    await opened();
    await until(() => at("settlement") !== null);
    const before = reads;
    servers = [];
    settlements = [settlementOf({ state: "succeeded" })];
    await until(() => document.body.textContent!.includes("Nothing is errant"));
    expect(reads).toBe(before + 1);
  });

  it("does not take a reading that failed for a new one", async () => {
    await opened();
    const read = at("errant-read")!.textContent;
    broken = true;
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + 60_000);
    await press("errant-again");
    await until(() => at("problem") !== null);
    expect(at("errant-read")!.textContent).toBe(`what is shown was ${read}`);
    expect(at("errant-server")!.className).toContain("stale");
    broken = false;
    await press("errant-again");
    await until(() => at("problem") === null);
    expect(at("errant-read")!.textContent).not.toContain("what is shown");
    expect(at("errant-server")!.className).not.toContain("stale");
    vi.restoreAllMocks();
  });

  it("says in words what is not told of a transaction, closed and open", async () => {
    const [t] = errantOf().transactions;
    servers = [errantOf({ transactions: [{ ...t!, lacks: [hostile[0]!, "a password"] }] })];
    await opened();
    expect(at("errant-lacks")!.textContent).toContain("What is not told");
    expect([...at("errant-lacks")!.querySelectorAll("li")].map((x) => x.textContent)).toEqual([hostile[0], "a password"]);
    expect(at("errant-transaction")!.querySelector("summary")!.textContent).toContain("not all of it is told");
    expect(document.querySelectorAll("img")).toHaveLength(0);
  });

  for (const text of hostile) {
    it(`shows ${text.slice(0, 30)} as text wherever it comes from`, async () => {
      const value = [{ column: text, sql: text, value: text, key: true }];
      servers = [errantOf({
        server: text, set: text, unread: text, missing: text, truncated: true, verdict: { never_acknowledged: false, why: [text], term: 0 },
        transactions: [{ gtid: text, server_id: 1, file: text, process: { number: 1, known: true }, statements: [text], lacks: [text], changes: [{ schema: text, table: text, action: text, before: value, after: value }] }],
      })];
      settlements = [settlementOf({
        id: text, server: text, by: text, reason: text, detail: text, donor: text, exported_to: text, set: text, state: "failed", stages: [stageOf({ name: text, detail: text, evidence: [text] })],
      }), settlementOf({ id: "running", server: text, by: text, reason: text, progress: { text, done: 1, of: 2, unit: text } })];
      await opened();
      expect(document.body.querySelectorAll("img, script, iframe, style")).toHaveLength(0);
      for (const e of document.body.querySelectorAll("*")) {
        expect(e.getAttributeNames().filter((n) => n.startsWith("on"))).toEqual([]);
        expect(e.getAttribute("href") ?? "#").toMatch(/^#/);
      }
    });
  }
});
