import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { authorization, hasCredentials, setCredentials } from "../api/client";
import { until } from "../until";
import { SignIn } from "./SignIn";

let root: Root;
let asked: (string | null)[];
let status: number;

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  asked = [];
  status = 200;
  window.sessionStorage.clear();
  setCredentials(null);
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    asked.push(new Headers(init.headers).get("Authorization"));
    return new Response(JSON.stringify(status === 200 ? {} : { code: "unauthorized", detail: "the credentials are wrong" }), { status });
  });
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild!);
  act(() => root.render(<SignIn why="show who you are" />));
});

afterEach(() => {
  act(() => root.unmount());
  setCredentials(null);
  vi.unstubAllGlobals();
});

const at = <T extends HTMLElement>(test: string): T => document.querySelector<T>(`[data-test="${test}"]`)!;

async function fill(test: string, text: string): Promise<void> {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(at(test), text);
    at(test).dispatchEvent(new Event("input", { bubbles: true }));
  });
}

async function go(): Promise<void> {
  await act(async () => at("signin-go").click());
  await until(() => hasCredentials() || at("problem") !== null);
}

describe("signing in", () => {
  it("says first what the control plane said", () => {
    expect(document.body.textContent).toContain("show who you are");
  });

  it("takes a token only after the control plane has taken it", async () => {
    await fill("signin-token", " secret ");
    await go();
    expect(asked).toEqual(["Bearer secret"]);
    expect(authorization()).toEqual({ Authorization: "Bearer secret" });
  });

  it("keeps nobody whom the control plane refuses, and says why", async () => {
    status = 401;
    await fill("signin-token", "wrong");
    await go();
    expect(hasCredentials()).toBe(false);
    expect(document.body.textContent).toContain("the credentials are wrong");
  });

  it("knows names and passwords that are not ASCII", async () => {
    await act(async () => at("signin-by-password").click());
    await fill("signin-name", "zoë");
    await fill("signin-password", "pässwörd:1");
    await go();
    expect(new TextDecoder().decode(Uint8Array.from(atob(asked[0]!.slice(6)), (c) => c.charCodeAt(0)))).toBe("zoë:pässwörd:1");
  });

  it("keeps nothing in the browser unless that is wanted", async () => {
    await fill("signin-token", "secret");
    await go();
    expect(window.sessionStorage.length).toBe(0);
    expect(window.localStorage.length).toBe(0);
  });
});
