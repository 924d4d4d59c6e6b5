// Errant servers as the API tells them, for tests.
import type { ErrantServer, Settlement } from "../api/types";
import { stageOf } from "../recoveries/examples";

export function settlementOf(part: Partial<Settlement> = {}): Settlement {
  return {
    id: "shop-20261121T164002.000", cluster: "shop", server: "db3:3306", action: "rewind", set: "u:1-3", verdict: { never_acknowledged: true, why: [], term: 7 }, automatic: false,
    by: "ada", reason: "as proven", accept: [], step: "check", state: "running", tries: 0, detail: "", stages: [stageOf({ name: "export" })], started_at: "2026-11-21T16:40:02.000000Z", ...part,
  };
}

export function errantOf(part: Partial<ErrantServer> = {}): ErrantServer {
  return {
    server: "db3:3306", set: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3", verdict: { never_acknowledged: true, why: ["no acker held them"], term: 7 }, rows: 61,
    transactions: [{
      gtid: "u:1", committed_at: "2026-11-21T16:39:00.000000Z", server_id: 3, thread: 17, file: "binlog.000004", process: { number: 1, known: true }, statements: ["UPDATE t"],
      changes: Array.from({ length: 60 }, (_, i) => ({
        schema: "app", table: "orders", action: "update",
        before: [{ column: "id", sql: `${i}`, value: i, key: true }, { column: "state", sql: "'open'", value: "open" }, { column: "who", sql: "1", value: 1 }],
        after: [{ column: "id", sql: `${i}`, value: i, key: true }, { column: "state", sql: "'paid'", value: "paid" }, { column: "who", sql: "1", value: 1 }],
      })),
    }],
    ...part,
  };
}
