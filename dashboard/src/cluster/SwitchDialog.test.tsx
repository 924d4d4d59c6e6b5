import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { until } from "../until";
import { SwitchDialog } from "./SwitchDialog";

type Sent = { body: unknown; key: string | null };

let root: Root;
let sent: Sent[];
let answers: boolean; // or the connection breaks
let closed: number;

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  [sent, answers, closed] = [[], true, 0];
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    sent.push({ body: JSON.parse(init.body as string), key: new Headers(init.headers).get("Idempotency-Key") });
    if (!answers) throw new TypeError("network");
    return new Response("{}");
  });
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild!);
  act(() => root.render(<SwitchDialog title="Maintenance" says="It is not promoted." verb="Take it out" method="PUT" path="/x" body={{ on: true }} onClose={() => closed++} />));
});

afterEach(() => {
  act(() => root.unmount());
  vi.unstubAllGlobals();
});

async function submit(): Promise<void> {
  const before = sent.length;
  await act(async () => document.querySelector<HTMLElement>("button.primary")!.click());
  await until(() => sent.length > before && (closed > 0 || document.querySelector("[data-test=problem]") !== null));
}

async function reason(text: string): Promise<void> {
  const field = document.querySelector<HTMLInputElement>("#reason")!;
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

describe("switching something", () => {
  it("asks again by the same key when no answer came", async () => {
    answers = false;
    await submit();
    answers = true;
    await submit();
    expect(sent).toHaveLength(2);
    expect(sent[0]!.key).toMatch(/^[0-9a-f]{32}$/);
    expect(sent[1]).toEqual(sent[0]);
    expect(closed).toBe(1);
  });

  it("says how long it lasts, and is not sent without a reason where it needs one", async () => {
    act(() => root.render(<SwitchDialog title="Maintenance" says="" verb="Begin it" method="PUT" path="/x" body={{ on: true }} lasts why onClose={() => closed++} />));
    answers = true;
    expect(document.querySelector<HTMLButtonElement>("button.primary")!.disabled).toBe(true);
    await reason("firmware");
    await act(async () => {
      const field = document.querySelector<HTMLSelectElement>("#lasting")!;
      Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value")!.set!.call(field, "1800000");
      field.dispatchEvent(new Event("change", { bubbles: true }));
    });
    await submit();
    expect(sent[0]!.body).toEqual({ on: true, for_ms: 1_800_000, reason: "firmware" });
  });

  it("says whether it may have been done, and how to find out", async () => {
    answers = false;
    await submit();
    expect(document.querySelector("[data-test=switch-unanswered]")!.textContent).toContain("Asking again is safe");
    expect(document.querySelector("button.primary")!.textContent).toBe("Ask again");
  });

  it("does not go while it is sent, so that nobody misses a refusal", async () => {
    let refuse = (): void => undefined;
    vi.stubGlobal("fetch", () => new Promise((r) => (refuse = () => r(new Response(JSON.stringify({ status: 409, code: "busy", detail: "somebody else does it" }), { status: 409 })))));
    await act(async () => document.querySelector<HTMLElement>("button.primary")!.click());
    const leave = (): HTMLElement => document.querySelector<HTMLElement>(".buttons button:last-child")!;
    expect(leave().textContent).toBe("Do not wait");
    await act(async () => leave().click());
    expect(closed).toBe(0);
    expect(document.querySelector("[data-test=switch-unanswered]")).not.toBeNull();
    await act(async () => refuse());
    await until(() => document.querySelector("[data-test=switch-refused]") !== null);
    expect(document.querySelector("[data-test=problem]")!.textContent).toContain("somebody else does it");
    await act(async () => leave().click());
    expect(closed).toBe(1);
  });

  it("takes another key for another order", async () => {
    answers = false;
    await submit();
    await reason("a new disk");
    answers = true;
    await submit();
    expect(sent[1]!.body).toEqual({ on: true, reason: "a new disk" });
    expect(sent[1]!.key).not.toBe(sent[0]!.key);
  });
});
