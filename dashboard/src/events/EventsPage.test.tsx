import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Event } from "../api/types";
import { stream } from "../live";
import { hostile } from "../recoveries/examples";
import { EventsPage } from "./EventsPage";

let root: Root;
let remembered: Event[];
let asked: string[];
let hear: (e: Event) => void;

const event = (n: number, part: Partial<Event> = {}): Event => ({ id: `e-${n}`, at: new Date(1_700_000_000_000 + n * 1000).toISOString(), kind: "repair", cluster: "shop", text: `number ${n}`, ...part });

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  window.location.hash = "#/events?cluster=shop";
  remembered = [event(1)];
  asked = [];
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    return new Response(JSON.stringify({ events: remembered, since: "2026-11-21T16:40:02Z" }), { status: 200 });
  });
  vi.spyOn(stream, "hear").mockImplementation((f) => {
    hear = f;
    return () => undefined;
  });
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild!);
  act(() => root.render(<EventsPage />));
});

afterEach(() => {
  act(() => root.unmount());
  vi.unstubAllGlobals();
});

const rows = (): string[] => [...document.querySelectorAll<HTMLElement>(`[data-test="event-row"]`)].map((r) => r.dataset.id ?? "");

async function until(claim: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !claim(); i++) await act(() => new Promise((r) => setTimeout(r, 10)));
  if (!claim()) throw new Error(`it never came: ${claim.toString()}\n${rows().join(" ")}`);
}

describe("the events page", () => {
  it("shows what is remembered and what happens from now on, of the cluster that was asked for", async () => {
    await until(() => rows().length === 1);
    act(() => {
      hear(event(2));
      hear(event(3, { cluster: "pay" }));
      hear(event(1));
    });
    await until(() => rows().length > 1);
    expect(rows()).toEqual(["e-2", "e-1"]);
    expect(document.querySelector(`[data-test="events-since"]`)!.textContent).toContain("since");
  });

  it("shows that events were missed, and asks for what is remembered of them", async () => {
    await until(() => rows().length === 1);
    remembered = [event(5), event(4)];
    act(() => hear({ id: "", at: event(3).at, kind: "gap", text: "the connection was lost" }));
    await until(() => rows().length === 4);
    expect(rows()).toEqual(["e-5", "e-4", "", "e-1"]);
    expect(asked).toHaveLength(2);
  });

  it("holds new events back while somebody reads, and counts them", async () => {
    await until(() => rows().length === 1);
    const hold = (): HTMLElement => document.querySelector<HTMLElement>(`[data-test="events-hold"]`)!;
    await act(async () => hold().click());
    act(() => hear(event(2)));
    await until(() => hold().textContent!.includes("1 new"));
    expect(rows()).toEqual(["e-1"]);
    await act(async () => hold().click());
    expect(rows()).toEqual(["e-2", "e-1"]);
  });

  it("shows what somebody hostile wrote as text", async () => {
    await until(() => rows().length === 1);
    act(() => hostile.forEach((h, i) => hear(event(10 + i, { text: h, by: h, server: h, recovery: h, kind: h }))));
    await until(() => rows().length === 1 + hostile.length);
    expect(document.body.querySelectorAll("img, script, iframe")).toHaveLength(0);
    for (const h of hostile) expect(document.body.textContent).toContain(h);
    for (const a of document.querySelectorAll("a")) expect(a.getAttribute("href")).toMatch(/^#/);
  });
});
