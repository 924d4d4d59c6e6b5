import type { Stage } from "../api/types";
import { Mono } from "../parts";
import { exact, now, useSecond } from "../time";
import { type Bar, bars, type Told } from "./story";

/** Timeline is what was done, one stage after the other, on one scale, each with what it found. */
export function Timeline({ recovery: r }: { recovery: Told }) {
  useSecond();
  const drawn = bars(r, now());
  return (
    <ol className="timeline" aria-label="Stages">
      {r.stages.map((s, i) => (
        <StageRow key={i} stage={s} bar={drawn[i]!} />
      ))}
      {r.state === "running" && <UnderWay phase={r.phase} bar={drawn[r.stages.length]!} />}
    </ol>
  );
}

const marks: Record<Stage["outcome"], string> = { ok: "✓", failed: "✕", blocked: "⊘", undone: "↶" };

const few = 5; // facts are shown at once, more of them when somebody asks

function StageRow({ stage: s, bar }: { stage: Stage; bar: Bar }) {
  const evidence = s.evidence ?? [];
  return (
    <li className={`stage stage-${s.outcome}`} data-test="stage" data-name={s.name} data-outcome={s.outcome}>
      <Line mark={marks[s.outcome] ?? "?"} name={s.name} bar={bar} word={s.outcome === "ok" ? "" : s.outcome} />
      {s.detail && <p className="told">{s.detail}</p>}
      {evidence.length > 0 && (
        <details open={s.outcome !== "ok" || evidence.length <= few}>
          <summary>{evidence.length === 1 ? "1 fact" : `${evidence.length} facts`}</summary>
          <ul className="evidence">
            {evidence.map((e, i) => (
              <li key={i}>{e}</li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}

function UnderWay({ phase, bar }: { phase: string; bar: Bar }) {
  return (
    <li className="stage stage-running" data-test="stage-running" data-name={phase}>
      <Line mark="…" name={phase} bar={bar} word="under way" />
    </li>
  );
}

function Line({ mark, name, bar, word }: { mark: string; name: string; bar: Bar; word: string }) {
  return (
    <div className="line">
      <span className="mark" aria-hidden="true">{mark}</span>
      <b className="named"><Mono>{name}</Mono> {word && <span className="word">{word}</span>}</b>
      <span className="num began" title="began after">+{exact(bar.began)}</span>
      <span className="num took" title="took">{exact(bar.took)}</span>
      <span className="lane" aria-hidden="true">
        <span className="bar-of" style={{ left: `min(${bar.left}%, calc(100% - 3px))`, width: `max(3px, ${bar.width}%)` }} />
      </span>
    </div>
  );
}
