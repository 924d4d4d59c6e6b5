import { afterEach, describe, expect, it, vi } from "vitest";
import { authorization, get, Offline, ProblemError, send, setCredentials, signInNeeded } from "./client";
import { visible } from "./text";

type Sent = { url: string; init: RequestInit & { headers: Record<string, string> } };

function answering(...answers: (Response | Error)[]): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal("fetch", (url: string, init: Sent["init"]) => {
    sent.push({ url, init });
    const a = answers.shift();
    return a instanceof Response ? Promise.resolve(a) : Promise.reject(a ?? new TypeError("refused"));
  });
  return sent;
}

const json = (value: unknown, status = 200, headers: Record<string, string> = {}) => new Response(status === 304 ? null : JSON.stringify(value), { status, headers });

afterEach(() => {
  vi.unstubAllGlobals();
  setCredentials(null);
});

describe("asking the control plane", () => {
  it("an answer that has not changed is the same object", async () => {
    const sent = answering(json({ a: 1 }, 200, { ETag: '"x"' }), json(null, 304));
    const first = await get("/api/v1/same");
    expect(await get("/api/v1/same")).toBe(first);
    expect(sent[1]!.init.headers["If-None-Match"]).toBe('"x"');
  });

  it("goes to where the page came from, under whatever path", async () => {
    const sent = answering(json({}));
    await get("/api/v1/clusters");
    expect(sent[0]!.url).toBe("api/v1/clusters");
  });

  it("a refusal says which, whatever else is in it", async () => {
    answering(json({ status: 409, code: "blocked", detail: "no", obstacle: { code: "not_revoked", message: "", needs: [["db1"]], remedy: "" } }, 409));
    await expect(send("POST", "/x", {})).rejects.toMatchObject({ code: "blocked", message: "no", obstacle: { needs: [["db1"]] } });
  });

  it("a proxy's page instead of an answer is a refusal, too", async () => {
    answering(new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
    const e = await get("/x").catch((e: unknown) => e);
    expect(e).toBeInstanceOf(ProblemError);
    expect(e).toMatchObject({ status: 502, message: "the answer was 502 Bad Gateway" });
  });

  it.each([["no answer", new TypeError("refused")], ["an answer that breaks off", new Response("{\"a\":")]])("%s is neither yes nor no", async (_, answer) => {
    answering(answer);
    await expect(get("/x")).rejects.toBeInstanceOf(Offline);
  });

  it("what is sent carries its key", async () => {
    const sent = answering(json({}));
    await send("POST", "/x", { on: true }, { key: "k1" });
    expect(sent[0]!.init).toMatchObject({ method: "POST", body: "{\"on\":true}" });
    expect(sent[0]!.init.headers).toMatchObject({ "Idempotency-Key": "k1", "Content-Type": "application/json" });
  });

  it("unknown credentials ask for others, and new ones end that", async () => {
    answering(json({ status: 401, code: "unauthorized", detail: "not known" }, 401));
    await get("/x").catch(() => undefined);
    expect(signInNeeded()).toBe("not known");
    setCredentials({ token: "t" });
    expect(signInNeeded()).toBeUndefined();
    expect(authorization()).toEqual({ Authorization: "Bearer t" });
  });

  it("names and passwords of all alphabets can be sent", () => {
    expect(authorization({ name: "ädä", password: "пароль:1" }).Authorization).toBe(`Basic ${btoa(String.fromCharCode(...new TextEncoder().encode("ädä:пароль:1")))}`);
  });

  it("credentials outlive the page only where that was asked for", () => {
    setCredentials({ token: "t" });
    expect(sessionStorage.length).toBe(0);
    setCredentials({ token: "t" }, true);
    expect(sessionStorage.length).toBe(1);
    setCredentials(null);
    expect(sessionStorage.length).toBe(0);
  });
});

describe("what nobody would see", () => {
  it("is seen", () => expect(JSON.parse(visible(JSON.stringify({ text: "\u202eevil\u202c\u200b <b>" })))).toEqual({ text: "⟨U+202E⟩evil⟨U+202C⟩⟨U+200B⟩ <b>" }));
  it("and all else stays", () => expect(visible('{"a":"ü 中文 \\n"}')).toBe('{"a":"ü 中文 \\n"}'));
});
