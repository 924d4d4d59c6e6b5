// Lag and probe times over the last minutes: the control plane's own record where it keeps one, else what this page has
// seen since it was opened.
import { useRef, useState } from "react";
import type { Cluster, Trends } from "../api/types";
import { useLive } from "../live";
import { parse } from "../time";

export type Series = { address: string; lag: (number | null)[]; probe: (number | null)[] };
export type History = { times: number[]; servers: Series[]; own: boolean };

const keepMax = 600;

/** ofTrends gives each value its time, in seconds. */
export function ofTrends(t: Trends): History {
  const n = Math.max(0, ...t.servers.map((s) => s.lag_ms.length));
  const until = parse(t.until) ?? 0;
  const times = Array.from({ length: n }, (_, i) => (until - (n - 1 - i) * t.step_ms) / 1000);
  const fill = (values: (number | null)[]): (number | null)[] => [...Array<null>(n - values.length).fill(null), ...values];
  return { times, own: false, servers: t.servers.map((s) => ({ address: s.address, lag: fill(s.lag_ms), probe: fill(s.probe_ms) })) };
}

/** grown is the history with one more observation; the same round of probes counts once. */
export function grown(h: History, c: Cluster): History {
  const at = (parse(c.probed_at) ?? 0) / 1000;
  if (at === 0 || at <= (h.times[h.times.length - 1] ?? 0)) return h;
  const cut = <T>(a: T[]): T[] => a.slice(-keepMax + 1);
  const times = [...cut(h.times), at];
  const before = new Map(h.servers.map((s) => [s.address, s]));
  const servers = c.servers.map((s) => {
    const b = before.get(s.address);
    const empty = Array<null>(times.length - 1).fill(null);
    return {
      address: s.address,
      lag: [...(b ? cut(b.lag) : empty), s.reachable ? s.lag_ms ?? null : null],
      probe: [...(b ? cut(b.probe) : empty), s.reachable ? s.probe_ms : null],
    };
  });
  return { times, servers, own: true };
}

/** useHistory follows a cluster. */
export function useHistory(c: Cluster): History {
  const [absent, setAbsent] = useState(false);
  const own = useRef<History>({ times: [], servers: [], own: true });
  own.current = grown(own.current, c);
  const live = useLive<Trends>(absent ? null : `/api/v1/clusters/${encodeURIComponent(c.name)}/trends`, { every: 2000 });
  if (live.problem?.status === 404 && !absent) setAbsent(true);
  const told = useRef<{ from: Trends; history: History }>(undefined);
  if (live.data && told.current?.from !== live.data) told.current = { from: live.data, history: ofTrends(live.data) };
  // A control plane that has just started remembers less than this page.
  return told.current && !absent && told.current.history.times.length >= Math.min(own.current.times.length, 60) ? told.current.history : own.current;
}
