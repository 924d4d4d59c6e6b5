// The API's own words. schema.d.ts comes from api/openapi.json (npm run types).
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
export type Verification = S["Verification"];
export type Claim = S["Claim"];
export type Step = S["Step"];
export type Event = S["Event"];
export type ReparentAnswer = S["ReparentAnswer"];

export type ReparentRequest = S["ReparentRequest"];
export type Summary = S["Summary"];
export type Cluster = S["Cluster"];
export type ClusterList = S["ClusterList"];
export type RecoveryList = S["RecoveryList"];
export type EventList = S["EventList"];
export type Trend = S["Trend"];
export type Trends = S["Trends"];
export type Whoami = S["Whoami"];

export type Case = S["Case"];
export type WhatIf = S["WhatIf"];

export type ErrantServer = S["ErrantServer"];
export type ErrantList = S["ErrantList"];
export type Transaction = S["Transaction"];
export type RowChange = S["Change"];
export type Settlement = S["Settlement"];
export type SettlementList = S["SettlementList"];
export type SettleRequest = S["SettleRequest"];
export type SettleAnswer = S["SettleAnswer"];
export type SettingsCheck = S["SettingsCheck"];
export type SettingsFinding = S["SettingsFinding"];

export type Halt = S["Halt"];
export type HaltStage = S["HaltStage"];
export type HaltAnswer = S["HaltAnswer"];
export type HaltList = S["HaltList"];
export type RestartRequest = S["RestartRequest"];
export type Rules = S["Rules"];
export type RuleMember = S["RuleMember"];
export type RulesRequest = S["RulesRequest"];
