import { ago, brief, clock, now, parse, span, useSecond } from "../time";

/** Age tells how long ago a time was, and counts on. The time itself is its title. */
export function Age({ at, form = "ago" }: { at: string | undefined; form?: "ago" | "since" | "brief" }) {
  useSecond();
  const then = parse(at);
  if (then === undefined) return <span className="quiet">–</span>;
  const text = form === "ago" ? ago(at) : form === "brief" ? brief(now() - then) : span(Math.max(1000, Math.floor((now() - then) / 1000) * 1000));
  return (
    <time className="num" dateTime={at} title={clock(at)}>
      {text}
    </time>
  );
}
