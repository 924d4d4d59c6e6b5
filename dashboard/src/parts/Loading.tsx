import type { Live } from "../live";
import { ProblemView } from "./ProblemView";

/** Loading stands where the first answer will be, and says so when none comes. */
export function Loading({ live, what }: { live: Live<unknown>; what: string }) {
  if (live.problem) return <><ProblemView problem={live.problem} />{live.problem.status >= 500 && <p className="quiet">It is asked again by itself.</p>}</>;
  if (live.failing) return <p className="empty" role="alert">The control plane does not answer. {what} is shown as soon as it does.</p>;
  return <p className="empty quiet" aria-busy="true">{live.stale ? "Still waiting for the control plane …" : "Asking the control plane …"}</p>;
}
