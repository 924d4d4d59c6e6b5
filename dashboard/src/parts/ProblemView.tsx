import { Offline, type ProblemError } from "../api/client";
import { ObstacleView } from "./ObstacleView";

/** ProblemView says why something did not succeed. */
export function ProblemView({ problem }: { problem: ProblemError | Offline | Error }) {
  const code = "code" in problem ? problem.code : problem instanceof Offline ? "offline" : "";
  return (
    <div className="problem" role="alert" data-test="problem" data-code={code}>
      <p>{problem.message}</p>
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
