import { useState } from "react";
import type { Halt } from "../api/types";
import { SwitchDialog } from "../cluster/SwitchDialog";
import { Age, Mono } from "../parts";
import { Timeline } from "../recoveries/Timeline";
import { href } from "../route";
import { clock, exact } from "../time";
import { mayNot, useWho } from "../who";
import "../recoveries/recoveries.css";
import "./halt.css";
import { does, type Place, type Stand, stands, steps, told } from "./progress";

const signs: Record<Halt["state"], string> = { running: "⇄", succeeded: "✓", failed: "✕", cancelled: "↶" };
const looks: Record<Halt["state"], string> = { running: "running", succeeded: "succeeded", failed: "failed", cancelled: "undone" };
const marks: Record<Place, string> = { done: "✓", now: "⇄", failed: "✕", next: "·", untouched: "–" };

/** HaltView is a stop or a rolling restart: which servers are over, which one is next, and what it waits for. */
export function HaltView({ halt: h }: { halt: Halt }) {
  const running = h.state === "running";
  return (
    <article className="halt" data-test="halt" data-id={h.id} data-state={h.state} data-step={h.step} data-server={h.server}>
      <header>
        <span className={`state recovery-${looks[h.state] ?? "undone"}`}><span className="sign" aria-hidden="true">{signs[h.state] ?? "?"}</span>{h.state}</span>
        <b>{h.kind === "stop" ? <>Stop of <Mono>{h.servers[0]}</Mono></> : h.servers.length === 1 ? <>Restart of <Mono>{h.servers[0]}</Mono></> : `Rolling restart of ${h.servers.length} servers`}</b>
        <span className="quiet ago"><Age at={h.started_at} /></span>
      </header>
      <p className="quiet">by {h.by || "somebody without a name"}{h.reason ? `: ${h.reason}` : ""}{h.shutdown ? "; each is shut down, and started by somebody" : ""}</p>
      {told(h) && <p className="halt-told"><b>{told(h)}</b></p>}
      {!running && h.detail && <p className="told">{h.detail}</p>}
      <ol className="halt-servers">
        {stands(h).map((s) => <Server key={s.address} halt={h} stand={s} />)}
      </ol>
      {h.stages.length > 0 && (
        <details>
          <summary>Every step so far, from {clock(h.started_at)}{h.finished_at ? ` to ${clock(h.finished_at)}` : ""}</summary>
          <Timeline recovery={{ started_at: h.started_at, state: h.state, phase: h.step, stages: h.stages.map((s) => ({ ...s, detail: `${s.server}: ${s.detail}` })) }} />
        </details>
      )}
      {running && <Cancel halt={h} />}
    </article>
  );
}

const words: Record<Place, string> = { done: "done", now: "now", failed: "here it ended", next: "next", untouched: "not touched" };

function Server({ halt: h, stand: s }: { halt: Halt; stand: Stand }) {
  return (
    <li className={`halt-server halt-${s.place}`} data-test="halt-server" data-address={s.address} data-place={s.place}>
      <span className="line">
        <span className="mark" aria-hidden="true">{marks[s.place]}</span>
        <Mono>{s.address}</Mono>
        <span className="word">{s.place === "done" && h.kind === "restart" ? "restarted" : words[s.place]}</span>
        {s.took !== undefined && s.place === "done" && <span className="quiet num">{exact(s.took)}</span>}
      </span>
      {s.place === "now" && <Now halt={h} stand={s} />}
    </li>
  );
}

/** Now is the step at which it stands, and why it does not go on. Its place is kept, so that nothing below it moves. */
function Now({ halt: h, stand: s }: { halt: Halt; stand: Stand }) {
  const over = new Set<string>(s.stages.map((x) => x.name));
  const at = steps[h.kind].indexOf(h.step);
  return (
    <div className="halt-now">
      <ol className="halt-steps" aria-label="steps of this server">
        {steps[h.kind].map((step, i) => (
          <li key={step} className={over.has(step) ? "over" : i === at ? "at" : i < at ? "skipped" : ""} aria-current={i === at ? "step" : undefined} title={i < at && !over.has(step) ? "not needed" : undefined}>{step}</li>
        ))}
      </ol>
      <p className="halt-why" data-test="halt-why" data-code={h.code}>
        <span role="status">
          {h.code === "start_it" && <b className="odd">Start {s.address} now. </b>}
          {h.detail ? <>{h.detail}</> : <>It is {does[h.step]}</>}
        </span>{" "}
        <span className="quiet">(<Mono>{h.step}</Mono> for <Age at={h.step_at} form="since" />)</span>
        {h.tries > 0 && <b className="odd"> {h.tries === 1 ? "One try has failed" : `${h.tries} tries have failed`}{h.next_at ? `; the next one is at ${clock(h.next_at)}` : ""}.</b>}
        {h.recovery && h.step === "move" && <> <a href={href.recovery(h.recovery)}>Watch the change of the primary</a></>}
      </p>
    </div>
  );
}

function Cancel({ halt: h }: { halt: Halt }) {
  const [asking, ask] = useState(false);
  const refused = mayNot("operator", useWho());
  return (
    <>
      <p><button type="button" disabled={refused !== undefined} title={refused} onClick={() => ask(true)} data-test="halt-cancel">Call it off …</button></p>
      {asking && (
        <SwitchDialog
          title={`Call off the ${h.kind} in ${h.cluster}`} verb="Call it off" method="POST" path={`/api/v1/clusters/${encodeURIComponent(h.cluster)}/halts/cancel`} body={{}}
          says={`No other server is touched. ${h.server} may still go, if it was told to; it is repaired when it is back.`} onClose={() => ask(false)}
        />
      )}
    </>
  );
}
