import type { Obstacle } from "../api/types";
import { Mono } from "./Mono";

/** ObstacleView is what stands against a change, and which servers would have to come back. */
export function ObstacleView({ obstacle: o }: { obstacle: Obstacle }) {
  const branches = Object.entries(o.branches ?? {});
  return (
    <section className="obstacle" data-test="obstacle">
      <p>
        <Mono>{o.code}</Mono> {o.message}
      </p>
      {o.needs.length > 0 && (
        <p>
          It needs{" "}
          {o.needs.map((set, i) => (
            <span key={i}>
              {i > 0 ? <strong> or </strong> : null}
              {(set ?? []).map((s, j) => (
                <span key={s}>
                  {j > 0 ? " and " : null}
                  <Mono>{s}</Mono>
                </span>
              ))}
            </span>
          ))}{" "}
          back.
        </p>
      )}
      {o.remedy && <p>What you can do: {o.remedy}</p>}
      {branches.length > 0 && (
        <details>
          <summary>Histories that contradict each other</summary>
          <dl className="facts">
            {branches.map(([server, set]) => (
              <div key={server}>
                <dt>
                  <Mono>{server}</Mono>
                </dt>
                <dd>
                  <Mono>{set}</Mono>
                </dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </section>
  );
}
