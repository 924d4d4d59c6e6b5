import { useState } from "react";
import type { RowChange, Transaction } from "../api/types";
import { Mono, Pages } from "../parts";
import { clock } from "../time";
import { cells, touched, words } from "./summary";

/** TransactionView is one transaction: when, by whom, and its rows once somebody opens it. */
export function TransactionView({ transaction: t, open: first }: { transaction: Transaction; open: boolean }) {
  const [open, setOpen] = useState(first);
  const changes = t.changes ?? [];
  const tables = touched([t]);
  const lacks = t.lacks ?? [];
  return (
    <details className="errant-transaction" data-test="errant-transaction" data-gtid={t.gtid} open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <Mono>{t.gtid}</Mono>{" "}
        <span className="quiet">{t.committed_at ? clock(t.committed_at) : "no time is known"} · {tables.length === 0 ? "no rows" : tables.slice(0, 3).map((x) => `${x.table}: ${words(x)}`).join("; ")}{tables.length > 3 ? "; …" : ""}</span>
        {lacks.length > 0 && <b className="odd"> not all of it is told</b>}
      </summary>
      {open && (
        <div className="errant-inside">
          <p className="quiet">
            server_id <span className="num">{t.server_id}</span>{t.thread ? <>, connection <span className="num">{t.thread}</span></> : null}, in <Mono>{t.file}</Mono>
          </p>
          {lacks.length > 0 && (
            <div className="notice" data-test="errant-lacks">
              <p>It did more than stands here and in its file. What is not told: </p>
              <ul>{lacks.map((x, i) => <li key={i}>{x}</li>)}</ul>
            </div>
          )}
          {(t.statements ?? []).map((s, i) => <p key={i} className="statement"><Mono>{s}</Mono></p>)}
          {changes.length > 0 && (
            <Pages all={changes} size={25} what="rows">
              {(part, from) => <ol className="errant-rows" start={from + 1}>{part.map((c, i) => <Row key={from + i} change={c} />)}</ol>}
            </Pages>
          )}
        </div>
      )}
    </details>
  );
}

const deeds = ["insert", "update", "delete"];

function Row({ change: c }: { change: RowChange }) {
  return (
    <li data-test="errant-row" data-action={c.action}>
      <span className={`deed deed-${deeds.includes(c.action) ? c.action : "other"}`}>{c.action}</span>
      <Mono>{c.schema}.{c.table}</Mono>
      <dl>
        {cells(c).map((x) => (
          <div key={x.column}>
            <dt>{x.key ? <b title="part of the primary key">{x.column}</b> : x.column}</dt>
            <dd>
              {x.before !== undefined && (x.after !== undefined || c.action === "delete") && <del><Mono>{x.before}</Mono></del>}
              {x.before !== undefined && x.after !== undefined && <span aria-label="to"> → </span>}
              {x.after !== undefined && <Mono>{x.after}</Mono>}
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
