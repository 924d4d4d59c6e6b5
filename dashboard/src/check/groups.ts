// The same finding on several servers is one thing to read, as primacy check tells it.
import type { SettingsCheck, SettingsFinding } from "../api/types";

export type Group = Omit<SettingsFinding, "server"> & { servers: string[] };

const order = ["critical", "warning", "info"];

/** groups puts together what is the same on several servers, the gravest first. */
export function groups(findings: SettingsFinding[]): Group[] {
  const all: Group[] = [];
  for (const { server, ...f } of findings) {
    const same = all.find((g) => server && g.servers.length > 0 && g.code === f.code && g.severity === f.severity && g.message === f.message && g.mend === f.mend);
    if (same) same.servers.push(server!);
    else all.push({ ...f, servers: server ? [server] : [] });
  }
  return all.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

/** where names the servers that a finding is about. */
export function where(servers: string[], all: number): string {
  if (servers.length === 0) return "the cluster as a whole";
  return servers.length === all && all > 2 ? `all ${all} servers` : servers.join(", ");
}

/** unread is what could not be looked at, with the servers where. */
export function unread(c: SettingsCheck): [reason: string, servers: string[]][] {
  const reasons = new Map<string, string[]>();
  for (const s of c.servers) for (const r of s.unread) reasons.set(r, [...(reasons.get(r) ?? []), s.address]);
  return [...reasons];
}

/** fixable counts the settings that primacy check --fix would set. */
export function fixable(findings: SettingsFinding[]): number {
  return findings.filter((f) => f.fix).length;
}
