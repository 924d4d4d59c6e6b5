import { useEffect, useReducer, useRef, useState } from "react";
import { get, send } from "../api/client";
import { newKey } from "../api/key";
import type { Cluster, RecoveryList, ReparentAnswer } from "../api/types";
import { useLive } from "../live";
import { Refused } from "../order/Refused";
import { Freshness, Loading, Mono, ObstacleView, ProblemView, StateBadge } from "../parts";
import { Moved, Verdict } from "../recoveries/RecoveryPage";
import { RecoveryState } from "../recoveries/RecoveryState";
import { gaps } from "../recoveries/story";
import { Timeline } from "../recoveries/Timeline";
import { useRecovery } from "../recoveries/useRecovery";
import { href, useRoute } from "../route";
import { exact } from "../time";
import { mayNot, useWho } from "../who";
import "./change.css";
import { Form } from "./Form";
import { type Action, begin, missing, request, type State, step, wishFor } from "./machine";
import { Rehearsal } from "./Rehearsal";

function path(cluster: string): string {
  return `/api/v1/clusters/${encodeURIComponent(cluster)}`;
}

/** ChangePage changes the primary of a cluster: what to do, what that would do, the cluster's name, and then watching it. */
export function ChangePage({ cluster }: { cluster: string }) {
  const live = useLive<Cluster>(path(cluster), { every: 1000, apart: 200, wakes: (e) => e.cluster === cluster });
  const c = live.data;
  return (
    <>
      <header className="change-head">
        <p className="crumbs">
          <a href={href.fleet()}>Fleet</a> <span aria-hidden="true">›</span> <a href={href.cluster(cluster)}>{cluster}</a> <span aria-hidden="true">›</span>
        </p>
        <h1>Change the primary</h1>
        {c && <StateBadge state={c.state} dim={live.stale} />}
        <Freshness live={live} />
      </header>
      {c === undefined ? <Loading live={live} what="The cluster" /> : <Steps cluster={c} stale={live.stale} />}
    </>
  );
}

function Steps({ cluster: c, stale }: { cluster: Cluster; stale: boolean }) {
  const { query } = useRoute();
  const [state, act] = useReducer(step, undefined, () => begin(wishFor(c, query)));
  const running = c.recovery;
  useEffect(() => {
    if (running && running.state === "running") act({ does: "seen", recovery: running });
  }, [running]);
  if (state.at === "running" || state.at === "ended") return <Watched state={state} act={act} cluster={c} />;
  return <Asked cluster={c} state={state} act={act} stale={stale} />;
}

type Asking = Exclude<State, { at: "running" | "ended" }>;

function Asked({ cluster: c, state: s, act, stale }: { cluster: Cluster; state: Asking; act: (a: Action) => void; stale: boolean }) {
  const who = useWho();
  const refusal = mayNot("operator", who);
  const lacks = refusal ?? missing(s.wish);
  const busy = s.at === "choose" && s.busy;
  const held = s.at === "confirming" && (s.sending || s.unanswered !== undefined);
  const rehearse = async (): Promise<void> => {
    act({ does: "rehearse" });
    const term = c.term;
    try {
      act({ does: "rehearsed", answer: await send<ReparentAnswer>("POST", `${path(c.name)}/reparent`, request(s.wish, term, true)), term });
    } catch (e) {
      act({ does: "refused", problem: e as Error });
    }
  };
  return (
    <>
      <p className={stale ? "stale" : undefined}>
        {c.primary ? <><Mono>{c.primary}</Mono> leads <Mono>{c.name}</Mono> under term <span className="num">{c.term}</span>.</> : <>No primary of <Mono>{c.name}</Mono> is established.</>}{" "}
        {c.antiflap.open && <span className="quiet">The anti-flapping window is open; it does not hold back a change by hand.</span>}
      </p>
      {refusal && <p className="notice" role="status" data-test="change-forbidden">{refusal}</p>}
      <section className="card" aria-label="1. What to do">
        <h2><span className="step-number">1</span> What to do</h2>
        <Form cluster={c} wish={s.wish} disabled={held || busy} onChange={(wish) => act({ does: "edit", wish })} />
      </section>
      <section className="card" aria-label="2. Dry run" aria-busy={busy}>
        <h2><span className="step-number">2</span> What that would do</h2>
        {s.at === "choose" && s.changed && <p className="notice" role="alert" data-test="change-changed">{s.changed} The dry run no longer holds: let it run again.</p>}
        {(s.at === "rehearsed" || s.at === "confirming") && <Rehearsal answer={s.answer} />}
        {s.at === "refused" && <Refused problem={s.problem} during={s.during === "change" ? "order" : "rehearsal"} />}
        <p className="go-row">
          <button type="button" className={s.at === "choose" || s.at === "refused" ? "primary" : ""} data-test="change-dry-run" disabled={lacks !== undefined || busy || held} onClick={() => void rehearse()}>
            {busy ? "Asking …" : s.at === "choose" ? "Dry run" : "Dry run again"}
          </button>
          <span className="quiet">{lacks ?? "It changes nothing."}</span>
        </p>
        <Experience cluster={c.name} kind={s.wish.kind} />
      </section>
      {(s.at === "rehearsed" || s.at === "confirming") && <Confirm cluster={c} state={s} act={act} refusal={refusal} />}
    </>
  );
}

/** Experience is how long the last changes of this kind kept writes from completing. */
function Experience({ cluster, kind }: { cluster: string; kind: string }) {
  const [list, setList] = useState<RecoveryList>();
  useEffect(() => {
    let gone = false;
    get<RecoveryList>(`/api/v1/recoveries?cluster=${encodeURIComponent(cluster)}&limit=50`).then((l) => gone || setList(l), () => undefined); // without it the page says nothing of it
    return () => {
      gone = true;
    };
  }, [cluster]);
  if (list === undefined) return <p className="experience" />;
  const known = gaps(list.recoveries, kind);
  if (known.length === 0) return <p className="experience quiet" data-test="experience">There was no {kind} change here yet, so how long writes will stop is not known from experience.</p>;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return (
    <p className="experience" data-test="experience">
      {known.length === 1 ? `The last ${kind} change here kept` : `The last ${known.length} ${kind} changes here kept`} writes from completing for{" "}
      <b className="num">{least === most ? exact(least) : `${exact(least)} to ${exact(most)}`}</b>.
    </p>
  );
}

/** willSucceed: a dry run may also say that the change would be given up. */
function willSucceed(answer: ReparentAnswer): boolean {
  return answer.recovery.state === "succeeded" || answer.recovery.state === "running";
}

function Confirm({ cluster: c, state: s, act, refusal }: { cluster: Cluster; state: Extract<State, { at: "rehearsed" | "confirming" }>; act: (a: Action) => void; refusal: string | undefined }) {
  const typed = s.at === "confirming" ? s.typed : "";
  const sending = s.at === "confirming" && s.sending;
  const unanswered = s.at === "confirming" ? s.unanswered : undefined;
  const ready = typed === c.name && refusal === undefined;
  const field = useRef<HTMLInputElement>(null);
  const { recovery: plan } = s.answer;
  if (!willSucceed(s.answer)) return null;
  const confirm = async (): Promise<void> => {
    if (!ready || sending) return;
    const key = s.at === "confirming" && s.key !== undefined ? s.key : newKey();
    act({ does: "send", key });
    try {
      const answer = await send<ReparentAnswer>("POST", `${path(c.name)}/reparent`, request(s.wish, s.term, false), { key });
      act({ does: "begun", recovery: answer.recovery });
    } catch (e) {
      act({ does: "refused", problem: e as Error });
    }
  };
  return (
    <section className="card confirm" aria-label="3. Do it">
      <h2><span className="step-number">3</span> Do it</h2>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void confirm();
        }}
      >
        <p><Moved recovery={plan} /> <span className="quiet">{plan.kind} change of <Mono>{c.name}</Mono></span></p>
        <div className="field">
          <label htmlFor="confirm">Type the cluster's name, <Mono>{c.name}</Mono>, to confirm</label>
          <input ref={field} id="confirm" data-test="change-confirm" autoComplete="off" autoCapitalize="off" spellCheck={false} value={typed} disabled={sending} onChange={(e) => act({ does: "type", typed: e.target.value })} />
        </div>
        {unanswered && (
          <p className="notice" role="alert" data-test="change-unanswered">
            The change may have begun or not: {unanswered.message}. Asking again is safe: it goes by the same key and under the same term, so that no second change follows one that took effect. If it has begun, it shows here as soon as the control plane answers.
          </p>
        )}
        <p className="go-row">
          <button type="submit" className="danger" data-test="change-go" disabled={!ready || sending}>
            {sending ? "Asking …" : unanswered ? "Ask again" : plan.to ? <>Make {plan.to} the primary</> : "Change the primary"}
          </button>
          {typed !== "" && !ready && <span className="quiet">{refusal ?? "That is not the name yet."}</span>}
        </p>
      </form>
    </section>
  );
}

/** Watched is a change under way, and then what came of it. */
function Watched({ cluster: c, state: s, act }: { cluster: Cluster; state: Extract<State, { at: "running" | "ended" }>; act: (a: Action) => void }) {
  const id = s.at === "running" ? s.id : s.recovery.id;
  const live = useRecovery(id);
  const r = live.data ?? (s.at === "ended" ? s.recovery : s.begun);
  const over = live.data !== undefined && live.data.state !== "running";
  useEffect(() => {
    if (over && live.data) act({ does: "ended", recovery: live.data });
  }, [over, live.data, act]);
  return (
    <>
      {s.at === "running" && (
        <p className="quiet" data-test="change-running">
          {s.mine ? "The change is under way." : "A change of this cluster is under way; another one can begin when it has ended."} Closing this page does not stop it.
        </p>
      )}
      {live.failing && live.problem && <ProblemView problem={live.problem} />}
      {r === undefined ? <Loading live={live} what="The change" /> : (
        <div className={live.stale ? "stale" : undefined}>
          <p className="watched" aria-live="polite"><RecoveryState state={r.state} test="recovery-state" /> <a href={href.recovery(r.id)}>{r.id}</a></p>
          <Verdict recovery={r} />
          {r.obstacle && <section className="card" aria-label="Obstacle"><ObstacleView obstacle={r.obstacle} /></section>}
          <section className="card" aria-label="Stages"><Timeline recovery={r} /></section>
        </div>
      )}
      {s.at === "ended" && (
        <p className="go-row">
          <a className="button primary" href={href.cluster(c.name)}>To the cluster</a>
          <a className="button" href={href.recovery(s.recovery.id)}>All evidence</a>
          <button type="button" onClick={() => act({ does: "again" })}>Another change</button>
        </p>
      )}
    </>
  );
}
