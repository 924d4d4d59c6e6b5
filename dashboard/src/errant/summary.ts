// What errant transactions did, in few words: which tables, who, and when.
import type { RowChange, Transaction } from "../api/types";

export type Touched = { table: string; insert: number; update: number; delete: number };

/** touched counts the changed rows of each table, the most changed first. */
export function touched(all: Transaction[]): Touched[] {
  const tables = new Map<string, Touched>();
  for (const t of all) {
    for (const c of t.changes ?? []) {
      const table = `${c.schema}.${c.table}`;
      const row = tables.get(table) ?? { table, insert: 0, update: 0, delete: 0 };
      if (c.action === "insert" || c.action === "update" || c.action === "delete") row[c.action]++;
      tables.set(table, row);
    }
  }
  const rows = (t: Touched): number => t.insert + t.update + t.delete;
  return [...tables.values()].sort((a, b) => rows(b) - rows(a) || (a.table < b.table ? -1 : 1));
}

/** words tells the rows of one table: "2 inserted, 130 updated". */
export function words(t: Touched): string {
  const parts: [number, string][] = [[t.insert, "inserted"], [t.update, "updated"], [t.delete, "deleted"]];
  return parts.filter(([n]) => n > 0).map(([n, word]) => `${n.toLocaleString("en")} ${word}`).join(", ");
}

/** between is when the first and the last were committed; undefined when no log tells. */
export function between(all: Transaction[]): [first: string, last: string] | undefined {
  const times = all.map((t) => t.committed_at).filter((t) => t !== undefined).sort();
  return times.length === 0 ? undefined : [times[0]!, times[times.length - 1]!];
}

/** writers are the sessions that wrote them, as far as a binary log tells. */
export function writers(all: Transaction[]): string[] {
  return [...new Set(all.map((t) => (t.thread ? `server_id ${t.server_id}, connection ${t.thread}` : `server_id ${t.server_id}`)))];
}

export type Cell = { column: string; before?: string; after?: string; key: boolean };

/** cells is one row: what identifies it, and what became of it. Of an update, columns that stayed as they were are left out. */
export function cells(c: RowChange): Cell[] {
  const before = c.before ?? [];
  const after = c.after ?? [];
  if (c.action === "update") {
    return before.flatMap((v, i): Cell[] => {
      const then = after[i]?.column === v.column ? after[i] : undefined;
      const key = v.key === true;
      if (then === undefined || then.sql === v.sql) return key ? [{ column: v.column, after: v.sql, key }] : [];
      return [{ column: v.column, before: v.sql, after: then.sql, key }];
    });
  }
  return c.action === "delete" ? before.map((v) => ({ column: v.column, before: v.sql, key: v.key === true })) : after.map((v) => ({ column: v.column, after: v.sql, key: v.key === true }));
}
