import type { State } from "../api/types";

export const stateWords: Record<State, string> = {
  healthy: "healthy",
  degraded: "degraded",
  primary_failed: "primary failed",
  reparenting: "reparenting",
  blocked: "blocked",
  unknown: "unknown",
};

const signs: Record<State, string> = { healthy: "✓", degraded: "!", primary_failed: "✕", reparenting: "⇄", blocked: "⊘", unknown: "?" };

/** StateBadge is a cluster's state: sign, word and colour. */
export function StateBadge({ state, dim = false }: { state: State; dim?: boolean }) {
  return (
    <span className={`state state-${state}${dim ? " dim" : ""}`}>
      <span className="sign" aria-hidden="true">
        {signs[state] ?? "?"}
      </span>
      {stateWords[state] ?? state}
    </span>
  );
}
