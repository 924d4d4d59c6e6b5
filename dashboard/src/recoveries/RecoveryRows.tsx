import type { Recovery } from "../api/types";
import { href } from "../route";

/** RecoveryRows is a short list of changes, newest first. */
export function RecoveryRows({ recoveries }: { recoveries: Recovery[] }) {
  return (
    <ul>
      {recoveries.map((r) => (
        <li key={r.id} data-test="recovery-row" data-id={r.id}>
          <a href={href.recovery(r.id)}>{r.id}</a> {r.kind} {r.state}
        </li>
      ))}
    </ul>
  );
}
