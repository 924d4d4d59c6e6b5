import { type ReactNode, useState } from "react";
import type { Settlement } from "../api/types";
import { SwitchDialog } from "../cluster/SwitchDialog";
import { Age, Mono } from "../parts";
import { Timeline } from "../recoveries/Timeline";
import { clock } from "../time";
import { mayNot, useWho } from "../who";

const signs: Record<Settlement["state"], string> = { running: "⇄", succeeded: "✓", refused: "⊘", failed: "✕", cancelled: "↶" };
const looks: Record<Settlement["state"], string> = { running: "running", succeeded: "succeeded", refused: "blocked", failed: "failed", cancelled: "undone" };

/** SettlementView is what is done about one server, how far it is, and what came of it. */
export function SettlementView({ settlement: s, cancel, children }: { settlement: Settlement; cancel?: string; children?: ReactNode }) {
  const [asking, ask] = useState(false);
  const refused = mayNot("operator", useWho());
  const running = s.state === "running";
  return (
    <article className="settlement" data-test="settlement" data-id={s.id} data-state={s.state} data-step={s.step}>
      <header>
        <span className={`state recovery-${looks[s.state] ?? "undone"}`}><span className="sign" aria-hidden="true">{signs[s.state] ?? "?"}</span>{s.state}</span>
        <b>{s.action}</b> of <Mono>{s.server}</Mono>
        <span className="quiet ago"><Age at={s.started_at} /></span>
      </header>
      <p className="quiet">
        {s.automatic ? "by itself" : `by ${s.by || "somebody without a name"}`}{s.reason ? `: ${s.reason}` : ""}
        {s.accept.length > 0 && <>; accepted: {s.accept.join(", ").replaceAll("_", " ")}</>}
        {s.donor && <>; from <Mono>{s.donor}</Mono></>}
      </p>
      {running && <Going settlement={s} />}
      {!running && s.detail && <p className="told">{s.detail}</p>}
      {running ? <Stages settlement={s} /> : (
        <details>
          <summary>{s.stages.length === 1 ? "1 step" : `${s.stages.length} steps`}, {clock(s.started_at)}{s.finished_at ? ` to ${clock(s.finished_at)}` : ""}</summary>
          <Stages settlement={s} />
          <dl className="facts">
            <div><dt>GTIDs</dt><dd><Mono>{s.set}</Mono></dd></div>
            <div><dt>verdict</dt><dd>{s.verdict.never_acknowledged ? "never answered" : "possibly answered"}</dd></div>
            {s.exported_to && <div><dt>on record</dt><dd><Mono>{s.exported_to}</Mono></dd></div>}
          </dl>
        </details>
      )}
      {children}
      {running && cancel !== undefined && (
        <p><button type="button" disabled={refused !== undefined} title={refused} onClick={() => ask(true)} data-test="settle-cancel">Call it off …</button></p>
      )}
      {asking && cancel !== undefined && (
        <SwitchDialog title={`Call off the ${s.action} of ${s.server}`} says="What is under way ends, and the server stays quarantined. It can be settled again later." verb="Call it off" method="POST" path={cancel} body={{ action: "cancel" }} onClose={() => ask(false)} />
      )}
    </article>
  );
}

function Stages({ settlement: s }: { settlement: Settlement }) {
  return <Timeline recovery={{ started_at: s.started_at, stages: s.stages, state: s.state, phase: s.step }} />;
}

/** Going is how far the present step has got. Its place is kept, so that nothing below it moves. */
function Going({ settlement: s }: { settlement: Settlement }) {
  const p = s.progress;
  return (
    <div className="going" data-test="settle-progress">
      <progress aria-label="this step" max={p && p.of > 0 ? p.of : undefined} value={p && p.of > 0 ? p.done : undefined} />
      <p className="quiet">
        <Mono>{s.step}</Mono>{p ? <>: {p.text}{p.of > 0 ? <span className="num"> ({p.done.toLocaleString("en")} of {p.of.toLocaleString("en")}{p.unit ? ` ${p.unit}` : ""})</span> : null}</> : s.detail ? `: ${s.detail}` : ""}
        {s.tries > 0 && <b className="odd"> {s.tries === 1 ? "One try has failed" : `${s.tries} tries have failed`}{s.next_at ? `; the next one is at ${clock(s.next_at)}` : ""}.</b>}
      </p>
    </div>
  );
}
