import { useRef } from "react";
import type { Recovery, Verification } from "../api/types";
import { type Live, type Options, useLive } from "../live";

/** useRecovery follows a change until it has ended; after that nothing of it changes any more, and nothing is asked. */
export function useRecovery(id: string | null): Live<Recovery> {
  return useSettled<Recovery>(id === null ? null : `/api/v1/recoveries/${encodeURIComponent(id)}`, (l) => l.data !== undefined && l.data.state !== "running", {
    every: 500,
    apart: 100,
    wakes: (e) => e.recovery === id,
  });
}

/** useVerification is what comes of a change's certificate, or that it has none; either stays. */
export function useVerification(r: Recovery): Live<Verification> {
  return useSettled<Verification>(r.state === "running" ? null : `${proofPath(r)}/verification`, (l) => l.data !== undefined || l.problem?.code === "no_certificate", { every: 10_000, apart: 1000 });
}

/** proofPath is under which the API has the certificate of a change. */
export function proofPath(r: Pick<Recovery, "cluster" | "id">): string {
  return `/api/v1/clusters/${encodeURIComponent(r.cluster)}/recoveries/${encodeURIComponent(r.id)}`;
}

/** useSettled asks until what was answered is something that stays. */
function useSettled<T>(path: string | null, settled: (answer: Live<T>) => boolean, opts: Options<T>): Live<T> {
  const last = useRef<{ path: string; live: Live<T> }>(undefined);
  const known = last.current?.path === path ? last.current!.live : undefined;
  const ended = known !== undefined && settled(known);
  const live = useLive<T>(ended ? null : path, opts);
  if (ended) return { ...known, stale: false, failing: false };
  if (path !== null && (live.data ?? live.problem) !== undefined) last.current = { path, live };
  return live;
}
