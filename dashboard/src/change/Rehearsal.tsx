import type { Recovery, ReparentAnswer, Step } from "../api/types";
import { Mono, ObstacleView } from "../parts";
import { Moved } from "../recoveries/RecoveryPage";

/** Rehearsal is what a change would do, step by step, and how it would end. */
export function Rehearsal({ answer }: { answer: ReparentAnswer }) {
  const r = answer.recovery;
  const steps = answer.steps ?? [];
  const choice = r.stages.find((s) => s.name === "choose");
  return (
    <div data-test="rehearsal" data-state={r.state}>
      <p><b>If every server answers as it should:</b> <Moved recovery={r} /></p>
      {choice && <p className="why quiet">{choice.detail}</p>}
      <WouldFail recovery={r} />
      <Steps steps={steps} />
      <p className="unchanged">Nothing was changed.</p>
    </div>
  );
}

/** WouldFail says of a dry run that it would be given up. */
export function WouldFail({ recovery: r }: { recovery: Recovery }) {
  if (r.state !== "blocked" && r.state !== "undone" && r.state !== "failed") return null;
  return (
    <div className="problem" role="alert">
      <p><b>It would end as {r.state}.</b> So it cannot be begun from here.</p>
      {r.obstacle && <ObstacleView obstacle={r.obstacle} />}
    </div>
  );
}

/** Steps are what would be done, in order. */
export function Steps({ steps }: { steps: Step[] }) {
  return (
    <ol className="steps">
      {steps.map((s, i) => (
        <li key={i} data-test="change-step" data-phase={s.phase}>
          {s.title} {s.save_first && <span className="tag" title="the change is put on record before this step is taken">saved first</span>}
          {s.commands.length > 0 && (
            <details>
              <summary>{s.commands.length === 1 ? "1 command" : `${s.commands.length} commands`}</summary>
              <ul>{s.commands.map((c, j) => <li key={j}><Mono>{c}</Mono></li>)}</ul>
            </details>
          )}
        </li>
      ))}
    </ol>
  );
}
