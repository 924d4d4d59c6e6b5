// What somebody fills in who wants servers to be stopped or restarted.
import type { Cluster, RestartRequest } from "../api/types";

export type Wish = {
  kind: "restart" | "stop";
  servers: string[]; // of a restart
  server: string; // of a stop
  to: string;
  shutdown: boolean;
  drain: string; // in seconds, as typed
  hold: string; // in minutes
  wait: string; // in minutes
  reason: string;
};

/** wishFor is what the form begins with: what the address says, else all servers. */
export function wishFor(c: Pick<Cluster, "servers">, query: URLSearchParams): Wish {
  const asked = query.get("server") ?? "";
  const known = c.servers.some((s) => s.address === asked);
  return {
    kind: query.get("kind") === "stop" ? "stop" : "restart", servers: known ? [asked] : c.servers.map((s) => s.address), server: known ? asked : "",
    to: "", shutdown: false, drain: "", hold: "", wait: "", reason: "",
  };
}

function amount(text: string, most: number): boolean {
  return text.trim() === "" || (Number(text) > 0 && Number(text) <= most);
}

/** missing is what still has to be filled in before a dry run; undefined when nothing is. */
export function missing(w: Wish): string | undefined {
  if (w.kind === "restart" && w.servers.length === 0) return "Choose a server.";
  if (w.kind === "stop" && w.server === "") return "Choose the server.";
  if (!amount(w.drain, 600)) return "The time for clients is a number of seconds up to 600.";
  if (!amount(w.hold, 1440) || !amount(w.wait, 1440)) return "Maintenance and steps last a number of minutes up to 1440.";
  return undefined;
}

/** pathOf is where the API takes the wish. */
export function pathOf(cluster: string, w: Wish): string {
  const base = `/api/v1/clusters/${encodeURIComponent(cluster)}`;
  return w.kind === "stop" ? `${base}/servers/${encodeURIComponent(w.server)}/stop` : `${base}/restart`;
}

function ms(text: string, unit: number): number | undefined {
  return text.trim() === "" ? undefined : Math.round(Number(text) * unit);
}

/** request is a wish in the API's words. All servers are left out, so that those go along that join meanwhile. */
export function request(w: Wish, all: string[], dryRun: boolean): RestartRequest {
  const [drain, hold, wait] = [ms(w.drain, 1000), ms(w.hold, 60_000), ms(w.wait, 60_000)];
  return {
    ...(w.kind === "restart" && w.servers.length < all.length && { servers: w.servers }),
    ...(w.kind === "restart" && w.shutdown && { shutdown: true }),
    ...(w.to !== "" && { to: w.to }),
    ...(drain !== undefined && { drain_ms: drain }),
    ...(hold !== undefined && { hold_ms: hold }),
    ...(wait !== undefined && { wait_ms: wait }),
    ...(dryRun && { dry_run: true }),
    ...(w.reason.trim() !== "" && { reason: w.reason.trim() }),
  };
}
