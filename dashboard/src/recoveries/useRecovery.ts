import { useRef } from "react";
import type { Recovery } from "../api/types";
import { type Live, useLive } from "../live";

/** useRecovery follows a change until it has ended; after that nothing of it changes any more, and nothing is asked. */
export function useRecovery(id: string | null): Live<Recovery> {
  const last = useRef<Live<Recovery>>(undefined);
  const known = last.current?.data?.id === id ? last.current : undefined;
  const ended = known?.data !== undefined && known.data.state !== "running";
  const live = useLive<Recovery>(id === null || ended ? null : `/api/v1/recoveries/${encodeURIComponent(id)}`, {
    every: 500,
    apart: 100,
    wakes: (e) => e.recovery === id,
  });
  if (ended) return { ...known!, stale: false, failing: false };
  if (live.data !== undefined) last.current = live;
  return live;
}
