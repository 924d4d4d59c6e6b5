import { Offline, type ProblemError } from "../api/client";
import { ObstacleView } from "./ObstacleView";

/** unknown is said of what an address names and nobody knows: the control plane's own words are for those who call it. */
const unknown: Record<string, string> = {
  no_such_cluster: "This control plane knows no cluster of that name.",
  no_such_recovery: "Nothing of that name is on record here.",
};

/** ProblemView says why something did not succeed. */
export function ProblemView({ problem }: { problem: ProblemError | Offline | Error }) {
  const code = "code" in problem ? problem.code : problem instanceof Offline ? "offline" : "";
  return (
    <div className="problem" role="alert" data-test="problem" data-code={code}>
      <p>{unknown[code] ?? problem.message}</p>
      {advice(problem, code) && <p className="advice">{advice(problem, code)}</p>}
      {"api" in problem && problem.api && isPage(problem.api) ? (
        <p>
          It can be done there: <a href={problem.api} rel="noreferrer">{problem.elector || problem.api}</a>
        </p>
      ) : null}
      {"obstacle" in problem && problem.obstacle ? <ObstacleView obstacle={problem.obstacle} /> : null}
    </div>
  );
}

/** advice is what to do where the control plane itself says nothing of it. */
function advice(problem: ProblemError | Offline | Error, code: string): string {
  if (code === "offline") return "See whether it runs, and whether this machine reaches it. Another elector shows the same.";
  if (!("status" in problem) || problem.status < 500) return "";
  if (code === "") return "That is no answer of Primacy: something between this page and the control plane gave it. See whether the control plane runs.";
  if (code === "internal") return "What went wrong stands in the control plane's log, under “a request failed”.";
  return "";
}

/** isPage keeps addresses out that would run as a script. */
function isPage(address: string): boolean {
  return /^https?:\/\//i.test(address);
}
