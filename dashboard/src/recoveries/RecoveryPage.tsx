import type { Recovery } from "../api/types";
import { Freshness, Loading, Mono, ObstacleView } from "../parts";
import { href } from "../route";
import { clock } from "../time";
import { CertificateView } from "./CertificateView";
import { Proof } from "./Proof";
import { RecoveryState } from "./RecoveryState";
import "./recoveries.css";
import { askedBy, leftOut, loss, outcome, ruleWords, times } from "./story";
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
          <Proof key={r.id} recovery={r} />
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
        <a href={href.cluster(r.cluster)}>{r.cluster}</a>: <Moved recovery={r} /> <span className="quiet">{r.kind === "rules" ? "change of the rules" : `${r.kind} change`}, term <span className="num">{r.term}</span></span>
      </p>
      <p><b>{outcome(r)}</b> {r.state !== "running" && <span className="num">{times(r)}</span>}</p>
      <LossView recovery={r} />
      <LeftOut recovery={r} />
      <dl className="facts">
        <div><dt>cause</dt><dd>{r.cause}</dd></div>
        <div><dt>who</dt><dd>{askedBy(r)}{r.reason ? <>: {r.reason}</> : null}</dd></div>
        {r.rules && <div><dt>new rules</dt><dd><a href={href.rules(r.cluster)}>{r.rules.number || "without a number yet"}</a>: {ruleWords(r.rules)}; {r.rules.members.map((m) => m.address).join(", ")}</dd></div>}
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

/** LeftOut is what servers held and the change did not take over, so that nobody has to look for it in GTID sets. */
export function LeftOut({ recovery: r }: { recovery: Recovery }) {
  const { held, unread } = leftOut(r);
  if (held.length === 0 && unread.length === 0) return null;
  return (
    <div className="left-out" data-test="left-out">
      {held.map((h) => (
        <details key={h.address} data-test="left-out-server" data-address={h.address}>
          <summary><Mono>{h.address}</Mono> held {h.count === undefined ? "transactions" : h.count === 1 ? "1 transaction" : `${h.count.toLocaleString("en")} transactions`} that this change did not take over</summary>
          <p>Cancelled by it, or errant before: <Mono>{h.set}</Mono></p>
          <p><a href={href.errant(r.cluster, { server: h.address })}>What they did, as long as they are there</a></p>
        </details>
      ))}
      {unread.map((a) => (
        <p key={a} className="quiet" data-test="left-out-unread" data-address={a}>
          <Mono>{a}</Mono> could not be read. What it alone holds, if anything, is cancelled, and shows as <a href={href.errant(r.cluster, { server: a })}>errant</a> when it is back.
        </p>
      ))}
    </div>
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
