import type { Claim, Recovery, Verification } from "../api/types";
import { Loading, Mono, ProblemView, Save } from "../parts";
import { href } from "../route";
import { asks, conclusion, looks } from "./proof";
import { proofPath, useVerification } from "./useRecovery";

/** Proof is what comes of asking the same questions of the certificate again, and the file for who takes nobody's word. */
export function Proof({ recovery: r }: { recovery: Recovery }) {
  const live = useVerification(r);
  const none = live.problem?.code === "no_certificate";
  return (
    <section className="card proof" aria-label="Certificate" data-test="proof" data-verified={live.data?.verified}>
      <h2>Certificate</h2>
      {r.state === "running" ? <p className="quiet">It is made when the change has ended.</p>
        : none ? <p className="quiet" data-test="proof-none">{live.problem!.detail}.</p>
          : live.problem && live.problem.status === 404 ? <p className="quiet">This control plane has none.</p>
            : live.data === undefined ? (live.problem ? <ProblemView problem={live.problem} /> : <Loading live={live} what="What comes of it" />)
              : <Verified of={live.data} recovery={r} />}
    </section>
  );
}

/** Verified shows what does not simply hold at once, and the rest to who asks. */
export function Verified({ of: v, recovery: r }: { of: Verification; recovery: Recovery }) {
  const end = conclusion(v);
  const odd = v.claims.filter((c) => c.standing !== "holds");
  const held = v.claims.filter((c) => c.standing === "holds");
  return (
    <>
      <p className={`loss loss-${end.tone}`} data-test="proof-conclusion" data-tone={end.tone}><b>{end.says}</b></p>
      {odd.length > 0 && <Claims claims={odd} />}
      {held.length > 0 && (
        <details>
          <summary>{held.length} {held.length === 1 ? "claim" : "claims"} asked again, and found to follow from the evidence</summary>
          <Claims claims={held} />
        </details>
      )}
      <p className="go-row">
        <Save path={`${proofPath(r)}/certificate`} name={`${r.id}.json`}>Save the certificate</Save>
        <span className="quiet">The control plane says so itself. <Mono>primacy verify {r.id}.json</Mono> asks without it, on any machine.</span>
      </p>
      <dl className="facts">
        <div><dt>digest</dt><dd><Mono>{v.digest}</Mono></dd></div>
        {v.follows && <div><dt>follows</dt><dd><a href={href.recovery(v.follows.id)}>{v.follows.id}</a> <Mono>{v.follows.digest}</Mono></dd></div>}
      </dl>
    </>
  );
}

function Claims({ claims }: { claims: Claim[] }) {
  return (
    <ul className="claims">
      {claims.map((c, i) => (
        <li key={i} className={`claim claim-${c.standing}`} data-test="claim" data-name={c.name} data-standing={c.standing}>
          <span className="mark" aria-hidden="true">{looks[c.standing]?.sign ?? "?"}</span>
          <div>
            <b>{asks[c.name] ?? c.name}</b> {c.standing !== "holds" && <span className="word">{looks[c.standing]?.word ?? c.standing}</span>} {asks[c.name] && <Mono>{c.name}</Mono>}
            <p className="told">{c.detail}</p>
          </div>
        </li>
      ))}
    </ul>
  );
}
