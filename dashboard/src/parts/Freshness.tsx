import type { Live } from "../live";
import { clock, now, span, useSecond } from "../time";

/** Freshness says as of when what is shown was true, once that is no longer now. Its place is kept free, so that nothing moves. */
export function Freshness({ live }: { live: Live<unknown> }) {
  useSecond();
  if (!live.stale || live.at === undefined) return <span className="freshness" data-test="freshness" />;
  return (
    <span className="freshness old" role="status" data-test="freshness" data-stale="true">
      as of {span(Math.max(1000, now() - live.at))} ago ({clock(new Date(live.at).toISOString())})
    </span>
  );
}
