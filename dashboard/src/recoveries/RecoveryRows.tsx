import type { Recovery } from "../api/types";
import { Age } from "../parts";
import { href } from "../route";
import { exact } from "../time";
import { Moved } from "./RecoveryPage";
import { RecoveryState } from "./RecoveryState";
import "./recoveries.css";

/** RecoveryRows is a short list of changes, newest first. */
export function RecoveryRows({ recoveries }: { recoveries: Recovery[] }) {
  return (
    <ul className="recovery-rows">
      {recoveries.map((r) => (
        <li key={r.id} data-test="recovery-row" data-id={r.id}>
          <span className="first">
            <a href={href.recovery(r.id)} title={r.id}>{r.kind}{r.automatic ? ", automatic" : ""}</a>
            <RecoveryState state={r.state} />
            <span className="quiet ago"><Age at={r.started_at} form="brief" /></span>
          </span>
          <span className="second quiet">
            <Moved recovery={r} />
            {r.gap_ms != null && <span className="num" title="how long writes were kept from completing">{exact(r.gap_ms)}</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}
