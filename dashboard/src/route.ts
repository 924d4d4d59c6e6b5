// Pages are told apart by what follows the # of the address, so that the server needs to know one page only.
import { useSyncExternalStore } from "react";

export type Route =
  | { page: "fleet"; query: URLSearchParams }
  | { page: "cluster" | "change" | "errant" | "check" | "restart" | "rules"; cluster: string; query: URLSearchParams }
  | { page: "recoveries" | "events"; query: URLSearchParams }
  | { page: "recovery"; id: string; query: URLSearchParams }
  | { page: "lost"; path: string; query: URLSearchParams };

function part(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % in an address that somebody typed
  }
}

/** routeOf reads the address; hash begins with # or is empty. */
export function routeOf(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#/, "").split("?", 2);
  const query = new URLSearchParams(search);
  const parts = path.split("/").filter((p) => p !== "").map(part);
  const [first, second, third] = parts;
  if (parts.length === 0) return { page: "fleet", query };
  if (first === "clusters" && second !== undefined && parts.length === 2) return { page: "cluster", cluster: second, query };
  if (first === "clusters" && second !== undefined && parts.length === 3) {
    if (third === "change" || third === "errant" || third === "check" || third === "restart" || third === "rules") return { page: third, cluster: second, query };
  }
  if (first === "recoveries" && parts.length === 1) return { page: "recoveries", query };
  if (first === "recoveries" && second !== undefined && parts.length === 2) return { page: "recovery", id: second, query };
  if (first === "events" && parts.length === 1) return { page: "events", query };
  return { page: "lost", path, query };
}

function listen(f: () => void): () => void {
  window.addEventListener("hashchange", f);
  return () => window.removeEventListener("hashchange", f);
}

let last: { hash: string; route: Route } | undefined;

function current(): Route {
  const hash = window.location.hash;
  if (last?.hash !== hash) last = { hash, route: routeOf(hash) };
  return last!.route;
}

/** useRoute is the page that the address asks for. */
export function useRoute(): Route {
  return useSyncExternalStore(listen, current);
}

/** go opens an address as made by href. */
export function go(to: string): void {
  window.location.hash = to;
}

/** setQuery changes what the address says after its ?, without a step in the browser's history. Empty values are left out. */
export function setQuery(values: Record<string, string>): void {
  const route = current();
  const query = new URLSearchParams(route.query);
  for (const [k, v] of Object.entries(values)) {
    if (v === "") query.delete(k);
    else query.set(k, v);
  }
  const path = window.location.hash.split("?", 1)[0] || "#/";
  const text = query.toString();
  window.history.replaceState(window.history.state, "", text === "" ? path : `${path}?${text}`);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

function queried(path: string, query?: Record<string, string>): string {
  const text = new URLSearchParams(Object.entries(query ?? {}).filter(([, v]) => v !== "")).toString();
  return text === "" ? path : `${path}?${text}`;
}

/** href makes addresses of pages. */
export const href = {
  fleet: (query?: { state?: string; q?: string }) => queried("#/", query),
  cluster: (name: string) => `#/clusters/${encodeURIComponent(name)}`,
  change: (name: string, query?: { kind?: string; to?: string }) => queried(`#/clusters/${encodeURIComponent(name)}/change`, query),
  errant: (name: string, query?: { server?: string }) => queried(`#/clusters/${encodeURIComponent(name)}/errant`, query),
  check: (name: string) => `#/clusters/${encodeURIComponent(name)}/check`,
  restart: (name: string, query?: { kind?: "stop" | "restart"; server?: string }) => queried(`#/clusters/${encodeURIComponent(name)}/restart`, query),
  rules: (name: string) => `#/clusters/${encodeURIComponent(name)}/rules`,
  recoveries: (query?: { cluster?: string; kind?: string }) => queried("#/recoveries", query),
  recovery: (id: string) => `#/recoveries/${encodeURIComponent(id)}`,
  events: (query?: { cluster?: string; kind?: string }) => queried("#/events", query),
};
