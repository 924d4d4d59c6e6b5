// Where the servers of a cluster stand in its drawing: the primary on the left, and each server to the right of the
// one that it replicates from. Where there is no room for that, one below the other, indented.
import type { Server } from "../api/types";

export type Placed = { address: string; x: number; y: number; width: number; height: number; depth: number; member: boolean };
export type Edge = { from: string; to: string };
export type Layout = { nodes: Placed[]; edges: Edge[]; width: number; height: number; narrow: boolean };

export const node = { width: 244, height: 74, gapX: 176, gapXMax: 290, gapY: 14 };
const indent = 26;
const narrowGap = 34; // room for what the edge says, above its server

type Member = Pick<Server, "address" | "source" | "role" | "semi_sync">;

type Tree = { address: string; member: boolean; children: Tree[] };

/** layout places every server once, whatever they claim to replicate from: rings, strangers and themselves included. */
export function layout(servers: Member[], primary: string, width: number): Layout {
  const trees = forest(servers, primary);
  const depth = Math.max(1, ...trees.map(deep));
  const wide = depth * node.width + (depth - 1) * node.gapX;
  const narrow = width < wide;
  // What the edges say gets the room that is left.
  const gap = depth === 1 ? 0 : Math.min(node.gapXMax, (width - depth * node.width) / (depth - 1));
  const nodes = narrow ? indented(trees, width) : spread(trees, node.width + gap);
  const edges = servers.filter((s) => s.source !== "" && s.source !== s.address).map((s) => ({ from: s.source, to: s.address }));
  const height = Math.max(0, ...nodes.map((n) => n.y + n.height));
  return { nodes, edges, width: narrow ? width : Math.max(wide, width), height, narrow };
}

function deep(t: Tree): number {
  return 1 + Math.max(0, ...t.children.map(deep));
}

/** forest is who replicates from whom. Roots are the primary, servers without a source, sources that are no members, and of a ring the first. */
function forest(servers: Member[], primary: string): Tree[] {
  const members = new Map(servers.map((s) => [s.address, s]));
  const strangers = [...new Set(servers.map((s) => s.source).filter((a) => a !== "" && !members.has(a)))];
  const taken = new Set<string>();
  const grow = (address: string): Tree => {
    taken.add(address);
    const children: Tree[] = [];
    for (const s of ordered(servers)) {
      if (s.source === address && !taken.has(s.address)) children.push(grow(s.address));
    }
    return { address, member: members.has(address), children };
  };
  const roots = [
    ...servers.filter((s) => s.address === primary),
    ...servers.filter((s) => s.source === "" || s.source === s.address),
  ].map((s) => s.address);
  const trees: Tree[] = [];
  for (const root of [...roots, ...strangers, ...servers.map((s) => s.address)]) {
    if (!taken.has(root)) trees.push(grow(root));
  }
  return trees;
}

/** ordered puts those first whose acknowledgements count, so that they stand together. */
function ordered(servers: Member[]): Member[] {
  return [...servers].sort((a, b) => Number(b.semi_sync.acker) - Number(a.semi_sync.acker) || (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

function spread(trees: Tree[], step: number): Placed[] {
  const nodes: Placed[] = [];
  let bottom = 0;
  const place = (t: Tree, depth: number): number => {
    const self: Placed = { address: t.address, member: t.member, depth, x: depth * step, y: 0, width: node.width, height: node.height };
    nodes.push(self);
    if (t.children.length === 0) {
      self.y = bottom;
      bottom += node.height + node.gapY;
    } else {
      const ys = t.children.map((c) => place(c, depth + 1));
      self.y = (ys[0]! + ys[ys.length - 1]!) / 2;
    }
    return self.y;
  };
  for (const t of trees) place(t, 0);
  return nodes;
}

function indented(trees: Tree[], width: number): Placed[] {
  const nodes: Placed[] = [];
  let bottom = 0;
  const place = (t: Tree, depth: number): void => {
    if (depth > 0) bottom += narrowGap - node.gapY;
    const x = Math.min(depth, 4) * indent;
    nodes.push({ address: t.address, member: t.member, depth, x, y: bottom, width: Math.max(width - x, 120), height: node.height });
    bottom += node.height + node.gapY;
    for (const c of t.children) place(c, depth + 1);
  };
  for (const t of trees) place(t, 0);
  return nodes;
}
