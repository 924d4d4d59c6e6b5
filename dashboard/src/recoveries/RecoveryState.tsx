import type { Recovery } from "../api/types";

const signs: Record<Recovery["state"], string> = { running: "⇄", succeeded: "✓", undone: "↶", blocked: "⊘", failed: "✕" };

/** RecoveryState is what has become of a change: sign, word and colour. */
export function RecoveryState({ state, test }: { state: Recovery["state"]; test?: string }) {
  return (
    <span className={`state recovery-${state}`} data-test={test} data-state={state}>
      <span className="sign" aria-hidden="true">{signs[state] ?? "?"}</span>
      {state}
    </span>
  );
}
