import type { Live } from "../live";
import { clock, now, span, useSecond } from "../time";

/** Freshness says as of when what is shown was true, once that is no longer now, and what was said instead of something newer. Its place is kept free, so that nothing moves. */
export function Freshness({ live }: { live: Live<unknown> }) {
  useSecond();
  if (!live.stale || live.at === undefined) return <span className="freshness" data-test="freshness" />;
  return (
    <span className="freshness old" data-test="freshness" data-stale="true">
      as of <span className="num">{span(Math.max(1000, now() - live.at))}</span> ago <span role="status">({clock(new Date(live.at).toISOString())}){live.problem ? `; asked since, the control plane says: ${brief(live.problem.message)}` : ""}</span>
    </span>
  );
}

/** brief keeps a long answer from pushing the page away; pages that have room show all of it. */
function brief(text: string): string {
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
