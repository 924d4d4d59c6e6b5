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
      {"api" in problem && problem.api && isPage(problem.api) ? (
        <p>
          It can be done there: <a href={problem.api} rel="noreferrer">{problem.elector || problem.api}</a>
        </p>
      ) : null}
      {"obstacle" in problem && problem.obstacle ? <ObstacleView obstacle={problem.obstacle} /> : null}
    </div>
  );
}

/** isPage keeps addresses out that would run as a script. */
function isPage(address: string): boolean {
  return /^https?:\/\//i.test(address);
}
