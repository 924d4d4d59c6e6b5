// The API's own words. schema.d.ts comes from api/openapi.json (npm run types); fields that only newer control planes
// send are added here, all of them optional, so that a page never takes their absence for a statement.
import type { components } from "./schema";

type S = components["schemas"];

export type State = S["Summary"]["state"];
export type SeverityWord = S["Finding"]["severity"];
export type Evidence = S["Evidence"];
export type Finding = S["Finding"];
export type Antiflap = S["Antiflap"];
export type Note = S["Note"];
export type Server = S["Server"];
export type Semi = S["Semi"];
export type Durability = S["Durability"];
export type Obstacle = S["Obstacle"];
export type Problem = S["Problem"];
export type Recovery = S["Recovery"];
export type Stage = S["Stage"];
export type Certificate = S["Certificate"];
export type Witness = S["Witness"];
export type Decision = S["Decision"];
export type Step = S["Step"];
export type Event = S["Event"];
export type ReparentAnswer = S["ReparentAnswer"];

export type ReparentRequest = S["ReparentRequest"] & { expected_term?: number };

export type Summary = S["Summary"] & {
  finding_count?: number;
  reachable?: number;
  changed_at?: string;
  automation?: boolean;
  antiflap_open?: boolean;
  fresh?: boolean;
  leading?: boolean;
  recovery?: string;
};

export type Cluster = S["Cluster"] & { fresh?: boolean; changed_at?: string; last_recovery?: string };

export type ClusterList = { clusters: Summary[]; total?: number; states?: Record<string, number>; next?: string };
export type RecoveryList = { recoveries: Recovery[]; from_memory?: boolean; next?: string };
export type EventList = { events: Event[]; since: string; next?: string };

export type Trend = { address: string; lag_ms: (number | null)[]; probe_ms: (number | null)[] };
export type Trends = { step_ms: number; until: string; servers: Trend[] };

export type Whoami = { name: string; role: string; auth: boolean; elector: string; version: string; sandbox: boolean };

export type Case = { fail: string[]; promoted: string; because: string; obstacle?: Obstacle };
export type Whatif = { cases: Case[] };
