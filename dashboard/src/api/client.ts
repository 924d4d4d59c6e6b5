// Asks the control plane. Every failure is one of two: the control plane said no (ProblemError), or did not say anything
// (Offline).
import { serverSaid } from "../time";
import { visible } from "./text";
import type { Obstacle, Problem } from "./types";

/** ProblemError is an answer of the control plane that says no; code tells which no. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly obstacle?: Obstacle;
  /** elector and api: who acts for the cluster, and where it is reached, with code not_leading. */
  readonly elector?: string;
  readonly api?: string;

  constructor(p: Pick<Problem, "status" | "code" | "detail"> & Partial<Problem>) {
    super(p.detail);
    this.name = "ProblemError";
    this.status = p.status;
    this.code = p.code;
    this.detail = p.detail;
    this.obstacle = p.obstacle;
    this.elector = p.elector;
    this.api = p.api;
  }
}

/** Offline is no answer at all: of a request that changes something nobody knows whether it arrived. */
export class Offline extends Error {
  constructor(why: string) {
    super(why);
    this.name = "Offline";
  }
}

export type Credentials = { token: string } | { name: string; password: string };

const kept = "primacy-credentials";
const readTimeout = 10_000;
const sendTimeout = 60_000;

function remembered(): Credentials | null {
  try {
    return JSON.parse(window.sessionStorage.getItem(kept) ?? "null") as Credentials | null;
  } catch {
    return null; // no storage, or somebody else's words in it
  }
}

let credentials: Credentials | null = remembered();
let signedOut: string | undefined; // what the control plane said when it did not know us
const watching = new Set<() => void>();

/** setCredentials signs in for all requests to come; null signs out. They stay in memory, and with remember in this tab. */
export function setCredentials(c: Credentials | null, remember = false): void {
  credentials = c;
  signedOut = undefined;
  answers.clear();
  try {
    if (c !== null && remember) window.sessionStorage.setItem(kept, JSON.stringify(c));
    else window.sessionStorage.removeItem(kept);
  } catch {
    // a browser without storage forgets sooner, that is all
  }
  for (const f of [...watching]) f();
}

/** signInNeeded is what the control plane said when it refused us; undefined while it does not. */
export function signInNeeded(): string | undefined {
  return signedOut;
}

/** hasCredentials tells whether somebody signed in here. */
export function hasCredentials(): boolean {
  return credentials !== null;
}

/** onSignIn hears when signing in becomes needed, and when it is done. */
export function onSignIn(f: () => void): () => void {
  watching.add(f);
  return () => watching.delete(f);
}

function refused(detail: string): void {
  if (signedOut !== undefined) return;
  signedOut = detail;
  for (const f of [...watching]) f();
}

/** authorization is the header that says who asks; both forms are UTF-8. */
export function authorization(c: Credentials | null = credentials): Record<string, string> {
  if (c === null) return {};
  if ("token" in c) return { Authorization: `Bearer ${c.token}` };
  const bytes = new TextEncoder().encode(`${c.name}:${c.password}`);
  return { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}

/** address makes an API path relative to the page, which a proxy may serve under a path of its own. */
export function address(path: string): string {
  return path.replace(/^\//, "");
}

/** problemOf reads why an answer is no success. */
export async function problemOf(r: Response): Promise<ProblemError> {
  let told: Partial<Problem> = {};
  try {
    told = JSON.parse(visible(await r.text())) as Partial<Problem>;
  } catch {
    // a proxy's own page, perhaps; the status has to do
  }
  const p = new ProblemError({
    ...told,
    status: r.status,
    code: told.code ?? "",
    detail: told.detail ?? `the answer was ${r.status} ${r.statusText}`.trim(),
  });
  if (r.status === 401) refused(p.detail);
  return p;
}

async function ask(path: string, init: RequestInit, timeout: number): Promise<Response> {
  const sent = Date.now();
  let r: Response;
  try {
    r = await fetch(address(path), { ...init, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(timeout) });
  } catch (e) {
    throw new Offline(e instanceof DOMException && e.name === "TimeoutError" ? `no answer within ${timeout / 1000} s` : "the control plane does not answer");
  }
  serverSaid(r.headers.get("Primacy-Time") ?? r.headers.get("Date"), sent, Date.now());
  return r;
}

type Answer = { tag: string; value: unknown };

const answers = new Map<string, Answer>();
const answersMax = 20; // pages ask for few things again and again; the rest is not worth its memory

function keep(path: string, a: Answer): void {
  answers.delete(path);
  answers.set(path, a);
  if (answers.size > answersMax) answers.delete(answers.keys().next().value!);
}

/** get reads a path under /api/v1 (or any other). An answer that has not changed is the same object as the last one. */
export async function get<T>(path: string): Promise<T> {
  const known = answers.get(path);
  const r = await ask(path, { headers: { Accept: "application/json", ...authorization(), ...(known && { "If-None-Match": known.tag }) } }, readTimeout);
  if (r.status === 304 && known) return known.value as T;
  if (!r.ok) throw await problemOf(r);
  const value = await body<T>(r);
  const tag = r.headers.get("ETag");
  if (tag !== null) keep(path, { tag, value });
  return value;
}

/** send changes something. With a key the control plane does it once, however often it is sent. */
export async function send<T>(method: "POST" | "PUT", path: string, content: unknown, opts: { key?: string } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", "Content-Type": "application/json", ...authorization() };
  if (opts.key !== undefined) headers["Idempotency-Key"] = opts.key;
  const r = await ask(path, { method, headers, body: JSON.stringify(content) }, sendTimeout);
  if (!r.ok) throw await problemOf(r);
  return body<T>(r);
}

/** file fetches what is to be saved as it is: no mark in it is made visible, for it would be another text then. */
export async function file(path: string): Promise<Blob> {
  const r = await ask(path, { headers: authorization() }, sendTimeout);
  if (!r.ok) throw await problemOf(r);
  try {
    return await r.blob();
  } catch {
    throw new Offline("the answer broke off");
  }
}

async function body<T>(r: Response): Promise<T> {
  try {
    return JSON.parse(visible(await r.text())) as T;
  } catch {
    throw new Offline("the answer broke off");
  }
}
