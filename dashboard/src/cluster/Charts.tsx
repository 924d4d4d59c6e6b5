import { useEffect, useLayoutEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Cluster } from "../api/types";
import { Mono } from "../parts";
import { useTheme } from "../theme";
import { exact, span } from "../time";
import { type History, useHistory } from "./history";

/** Charts are lag and probe times of each server over the last minutes. */
export function Charts({ cluster: c }: { cluster: Cluster }) {
  const h = useHistory(c);
  const length = h.times.length > 1 ? (h.times[h.times.length - 1]! - h.times[0]!) * 1000 : 0;
  const over = h.own ? `since this page was opened, ${span(length)}` : `last ${span(length)}`;
  return (
    <section className="charts" aria-label="Charts">
      <Chart title="Lag of what is applied" over={over} history={h} of="lag" />
      <Chart title="Time that a probe takes" over={over} history={h} of="probe" />
    </section>
  );
}

const colours = 8; // --series-0 … --series-7, used again for more servers

type ChartProps = { title: string; over: string; history: History; of: "lag" | "probe" };

function Chart({ title, over, history: h, of }: ChartProps) {
  // A server has the same colour in both charts, whether or not it has values in this one.
  const servers = h.servers.map((s, i) => ({ ...s, look: `series-${i % colours}` })).filter((s) => s[of].some((v) => v !== null));
  const scheme = useScheme();
  const names = servers.map((s) => s.address).join(" ");
  const [at, setAt] = useState<number | null>(null);
  const shown = at ?? h.times.length - 1;
  return (
    <figure className="card chart" data-test="chart" data-of={of}>
      <figcaption>
        <h2>{title}</h2>
        <span className="quiet num">{at === null ? over : new Date(h.times[at]! * 1000).toLocaleTimeString("en-GB")}</span>
      </figcaption>
      <Canvas key={`${scheme} ${names}`} data={[h.times, ...servers.map((s) => s[of])]} looks={servers.map((s) => s.look)} onAt={setAt} />
      <ul className="legend">
        {servers.map((s) => (
          <li key={s.address}>
            <span className={`swatch ${s.look}`} aria-hidden="true" />
            <Mono title={s.address}>{s.address}</Mono>
            <b className="num">{s[of][shown] == null ? "–" : exact(s[of][shown]!)}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
}

/** useScheme changes when the colours do. */
function useScheme(): string {
  const theme = useTheme();
  const [dark, setDark] = useState(() => window.matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const m = window.matchMedia("(prefers-color-scheme: dark)");
    const changed = (): void => setDark(m.matches);
    m.addEventListener("change", changed);
    return () => m.removeEventListener("change", changed);
  }, []);
  return theme === "auto" ? String(dark) : theme;
}

const height = 150;

/** tick is a value on the axis, in one unit. */
function tick(ms: number): string {
  return ms < 1000 ? exact(ms) : ms < 120_000 ? `${ms / 1000} s` : `${Math.round(ms / 6000) / 10} min`;
}

function Canvas({ data, looks, onAt }: { data: (number | null)[][]; looks: string[]; onAt: (i: number | null) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(data);
  latest.current = data;
  useLayoutEffect(() => {
    const element = box.current!;
    const colour = (name: string): string => {
      const probe = document.createElement("span");
      probe.className = name;
      element.append(probe);
      const value = getComputedStyle(probe).color;
      probe.remove();
      return value;
    };
    const axis = { stroke: colour("axis-text"), grid: { stroke: colour("axis-line"), width: 1 }, ticks: { stroke: colour("axis-line"), width: 1 }, font: "11px system-ui, sans-serif" };
    const made = new uPlot(
      {
        width: element.clientWidth, height,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
        scales: { y: { range: (_u, _min, max) => [0, Math.max(max ?? 0, 1) * 1.1] } },
        axes: [{ ...axis, space: 70, values: (_u, ticks) => ((latest.current[0]?.length ?? 0) < 2 ? [] : ticks.map((t) => new Date(t * 1000).toLocaleTimeString("en-GB"))) }, { ...axis, size: 58, space: 30, values: (_u, ticks) => ticks.map(tick) }],
        series: [{}, ...looks.map((look) => ({ stroke: colour(look), width: 1.5, points: { show: false } }))],
        hooks: { setCursor: [(u) => onAt(u.cursor.idx ?? null)] },
      },
      latest.current as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const watcher = new ResizeObserver((seen) => made.setSize({ width: Math.floor(seen[0]!.contentRect.width), height }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, []); // names and colours are in its key: others are another chart
  const last = data[0]?.[data[0].length - 1];
  useEffect(() => plot.current?.setData(latest.current as uPlot.AlignedData), [last]);
  return <div ref={box} className="canvas" style={{ height }} aria-hidden="true" />;
}
