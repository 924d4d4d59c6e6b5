import type { SettingsCheck } from "../api/types";
import { useLive } from "../live";
import { Age, Freshness, Loading, Mono, ProblemView, Severity } from "../parts";
import { href } from "../route";
import { clock } from "../time";
import "../change/change.css";
import "../recoveries/recoveries.css";
import "./check.css";
import { fixable, type Group, groups, unread, where } from "./groups";

/** CheckPage is what settings, grants, accounts and tables permit that the durability policy promises not to happen. */
export function CheckPage({ cluster }: { cluster: string }) {
  const live = useLive<SettingsCheck>(`/api/v1/clusters/${encodeURIComponent(cluster)}/check`, { every: 30_000, apart: 10_000, wakes: (e) => e.cluster === cluster && e.finding?.code === "wrong_settings" });
  const c = live.data;
  return (
    <>
      <header className="change-head">
        <p className="crumbs">
          <a href={href.fleet()}>Fleet</a> <span aria-hidden="true">›</span> <a href={href.cluster(cluster)}>{cluster}</a> <span aria-hidden="true">›</span>
        </p>
        <h1>Settings check</h1>
        <Freshness live={live} />
      </header>
      <p className="quiet">
        What settings, grants, accounts and tables permit that the durability policy promises not to happen: now, and after a restart. The same as <Mono>primacy check</Mono> tells.
      </p>
      {c === undefined ? <Loading live={live} what="The check" /> : (
        <div className={live.stale ? "stale" : undefined}>
          {live.problem && <ProblemView problem={live.problem} />}
          <Found check={c} />
        </div>
      )}
    </>
  );
}

function Found({ check: c }: { check: SettingsCheck }) {
  const all = groups(c.findings);
  const fixes = fixable(c.findings);
  const silent = c.servers.filter((s) => s.reach !== "ok");
  const unseen = unread(c);
  const count = (severity: string): number => c.findings.filter((f) => f.severity === severity).length;
  return (
    <>
      <section className={`verdict verdict-${count("critical") > 0 ? "blocked" : count("warning") > 0 ? "degraded" : "healthy"}`} aria-label="Result" data-test="check-result">
        <p>
          <b className="num">{count("critical")}</b> critical, <b className="num">{count("warning")}</b> {count("warning") === 1 ? "warning" : "warnings"}, <b className="num">{count("info")}</b> {count("info") === 1 ? "note" : "notes"}
          {" "}on {c.servers.length} servers{silent.length > 0 ? <b className="odd">, of which {silent.length} {silent.length === 1 ? "was" : "were"} not reached</b> : ""}.
        </p>
        <p className="quiet">Servers were asked at {clock(c.checked_at)} (<Age at={c.checked_at} />).{fixes > 0 && <> <Mono>primacy check {c.cluster} --fix</Mono> would set {fixes === 1 ? "one of these" : `${fixes} of these`}.</>}</p>
      </section>
      <section className="card" aria-label="Findings">
        <h2>Findings</h2>
        {all.length === 0 ? <p className="quiet">Nothing to mend, in what could be read.</p> : all.map((g, i) => <GroupView key={`${g.code} ${i}`} group={g} all={c.servers.length} />)}
      </section>
      {unseen.length > 0 && (
        <section className="card" aria-label="Not read">
          <h2>Not read</h2>
          <p className="quiet">Silence about these means nothing.</p>
          <dl className="facts unread">{unseen.map(([reason, servers]) => <div key={reason}><dt>{where(servers, c.servers.length)}</dt><dd>{reason}</dd></div>)}</dl>
        </section>
      )}
    </>
  );
}

function GroupView({ group: g, all }: { group: Group; all: number }) {
  return (
    <article className={`finding finding-${g.severity} lint`} data-test="check-finding" data-code={g.code} data-severity={g.severity}>
      <header>
        <Severity severity={g.severity} />
        <Mono>{g.code}</Mono>
        <span className="quiet">on {where(g.servers, all)}</span>
      </header>
      <p>{g.message}</p>
      <dl className="facts">
        <div><dt>permits</dt><dd>{g.permits}</dd></div>
        <div><dt>mend</dt><dd>{g.fix ? <><Mono>{g.fix}</Mono> <span className="quiet nobreak">(--fix does it)</span></> : g.mend}</dd></div>
      </dl>
    </article>
  );
}
