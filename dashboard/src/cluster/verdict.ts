// What a cluster's state comes to, in a sentence.
import type { Cluster } from "../api/types";

type Seen = Pick<Cluster, "state" | "primary" | "servers" | "findings">;

/** works tells whether the primary answers as one, whatever else is wrong. */
export function works(c: Pick<Cluster, "primary" | "servers">): boolean {
  const s = c.servers.find((x) => x.address === c.primary);
  return s !== undefined && s.reachable && s.role === "primary";
}

/** failed tells whether it is time to speak of the primary as of one that was. */
export function failed(c: Seen): boolean {
  return c.state === "primary_failed" || (c.state === "blocked" && !works(c));
}

const verdicts: Record<Cluster["state"], string> = {
  healthy: "All is as it should be.",
  degraded: "It takes writes, but not everything is as it should be.",
  primary_failed: "The primary has failed.",
  reparenting: "The primary is being changed.",
  blocked: "The primary has to be changed, and that is blocked.",
  unknown: "It is not known how the cluster fares.",
};

/** verdict is what is, in a sentence. A cluster is blocked too when its primary works and nobody acknowledges. */
export function verdict(c: Seen): string {
  if (c.state !== "blocked" || !works(c)) return verdicts[c.state];
  if (c.findings.some((f) => f.code === "semi_sync_blocked" && f.severity === "critical")) return "Writes wait: the primary works, and too few servers acknowledge.";
  return "The primary answers, and does not serve as it should; nothing else can be done by itself.";
}

/** whyNot is what the worst finding says of why nothing is done about it; undefined when it does not. */
export function whyNot(c: Seen): string | undefined {
  return c.findings.find((f) => f.severity === "critical" && f.why_not)?.why_not;
}
