import type { Recovery } from "../api/types";
import { Freshness, Loading, Mono, ObstacleView } from "../parts";
import { href } from "../route";
import { clock } from "../time";
import { CertificateView } from "./CertificateView";
import { RecoveryState } from "./RecoveryState";
import "./recoveries.css";
import { askedBy, loss, outcome, times } from "./story";
import { Timeline } from "./Timeline";
import { useRecovery } from "./useRecovery";

/** RecoveryPage tells one change from what set it off to what came of it, with the evidence. */
export function RecoveryPage({ id }: { id: string }) {
  const live = useRecovery(id);
  const r = live.data;
  return (
    <>
      <header className="recovery-head">
        <p className="crumbs"><a href={href.recoveries()}>Recoveries</a> <span aria-hidden="true">›</span></p>
        <h1>{id}</h1>
        {r && <RecoveryState state={r.state} test="recovery-state" />}
        <Freshness live={live} />
      </header>
      {r === undefined ? <Loading live={live} what="The change" /> : (
        <div className={live.stale ? "stale" : undefined}>
          <Verdict recovery={r} />
          {r.obstacle && (
            <section className="card" aria-label="Obstacle">
              <h2>Why it did not succeed</h2>
              <ObstacleView obstacle={r.obstacle} />
            </section>
          )}
          <section className="card" aria-label="Stages">
            <h2>What was done</h2>
            <Timeline recovery={r} />
          </section>
          <CertificateView recovery={r} />
        </div>
      )}
    </>
  );
}

/** Verdict is who became primary of what, why, on whose word, and what it cost. */
export function Verdict({ recovery: r }: { recovery: Recovery }) {
  return (
    <section className={`recovery-verdict recovery-verdict-${r.state}`} aria-label="Outcome">
      <p className="moved">
        <a href={href.cluster(r.cluster)}>{r.cluster}</a>: <Moved recovery={r} /> <span className="quiet">{r.kind} change, term <span className="num">{r.term}</span></span>
      </p>
      <p><b>{outcome(r)}</b> {r.state !== "running" && <span className="num">{times(r)}</span>}</p>
      <LossView recovery={r} />
      <dl className="facts">
        <div><dt>cause</dt><dd>{r.cause}</dd></div>
        <div><dt>who</dt><dd>{askedBy(r)}{r.reason ? <>: {r.reason}</> : null}</dd></div>
        {r.clearance && <div><dt>cleared</dt><dd>{r.clearance}</dd></div>}
        <div>
          <dt>when</dt>
          <dd className="num">{clock(r.started_at)}{r.finished_at ? <> to {clock(r.finished_at)}</> : null}</dd>
        </div>
      </dl>
    </section>
  );
}

/** Moved is from which server to which. */
export function Moved({ recovery: r }: { recovery: Recovery }) {
  if (r.from === r.to && r.to) return <Mono>{r.to}</Mono>;
  return (
    <span className="from-to">
      {r.from ? <Mono>{r.from}</Mono> : <span className="quiet">nobody</span>} <span aria-label="to">→</span>{" "}
      {r.to ? <Mono>{r.to}</Mono> : <span className="quiet">not chosen</span>}
    </span>
  );
}

/** LossView answers what was lost. */
export function LossView({ recovery }: { recovery: Recovery }) {
  const l = loss(recovery);
  return (
    <div className={`loss loss-${l.tone}`} data-test="loss" data-tone={l.tone}>
      <p>{l.says}</p>
      {l.what.length > 0 && <ul>{l.what.map((w, i) => <li key={i}>{w}</li>)}</ul>}
    </div>
  );
}
