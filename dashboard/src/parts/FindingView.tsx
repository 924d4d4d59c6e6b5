import type { Finding } from "../api/types";
import { Age } from "./Age";
import { Mono } from "./Mono";
import { Severity } from "./Severity";

/** FindingView is what is wrong, since when, on whose word, and what is done or why nothing is. */
export function FindingView({ finding: f }: { finding: Finding }) {
  return (
    <article className={`finding finding-${f.severity}`} data-test="finding" data-code={f.code}>
      <header>
        <Severity severity={f.severity} />
        <Mono>{f.code}</Mono>
        <span className="quiet since">
          for <Age at={f.since} form="since" />
        </span>
      </header>
      <p>{f.message}</p>
      {f.why_not && (
        <p className="why-not">
          <strong>Nothing is done by itself:</strong> {f.why_not}
        </p>
      )}
      {f.remedy && !f.why_not && (
        <p className="quiet">
          What mends it: <Mono>{f.remedy}</Mono>
        </p>
      )}
      {f.evidence.length > 0 && (
        <ul className="evidence">
          {f.evidence.map((e, i) => (
            <li key={i}>
              <Mono>{e.server}</Mono> <span>{e.fact}</span>{" "}
              <span className="quiet">
                {e.by && e.by !== e.server ? <>by {e.by}, </> : null}
                <Age at={e.at} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </article>
  );
}
