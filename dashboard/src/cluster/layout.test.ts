// @vitest-environment node
import { describe, expect, it } from "vitest";
import { layout, node } from "./layout";

type Row = [address: string, source: string, acker?: boolean];

function servers(rows: Row[]) {
  return rows.map(([address, source, acker = false]) => ({ address, source, role: "replica" as const, semi_sync: { acker } as never }));
}

function overlaps(nodes: { x: number; y: number; width: number; height: number }[]): boolean {
  return nodes.some((a, i) => nodes.slice(i + 1).some((b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height));
}

const clusters: Record<string, Row[]> = {
  "a star": [["a", ""], ["b", "a", true], ["c", "a"], ["d", "a", true]],
  "a chain": [["a", ""], ["b", "a"], ["c", "b"], ["d", "c"]],
  "a cascade": [["a", ""], ["b", "a", true], ["c", "a", true], ["d", "b"], ["e", "b"]],
  "a ring": [["b", "c"], ["c", "d"], ["d", "b"], ["a", ""]],
  "a ring around the primary": [["a", "b"], ["b", "a"], ["c", "a"]],
  "a server that follows itself": [["a", ""], ["b", "b"]],
  "a source that is no member": [["a", ""], ["b", "elsewhere"], ["c", "elsewhere"]],
  "nobody who replicates": [["a", ""], ["b", ""], ["c", ""]],
  "a single server": [["a", ""]],
};

describe.each(Object.entries(clusters))("the drawing of %s", (_, rows) => {
  it.each([390, 820, 2000])("at %d pixels shows every server once, none over another, none outside", (width) => {
    const drawn = layout(servers(rows), "a", width);
    const members = drawn.nodes.filter((n) => n.member).map((n) => n.address).sort();
    expect(members).toEqual(rows.map(([a]) => a).sort());
    expect(overlaps(drawn.nodes)).toBe(false);
    for (const n of drawn.nodes) expect(n.x + n.width).toBeLessThanOrEqual(Math.max(drawn.width, 146));
    for (const e of drawn.edges) expect(drawn.nodes.map((n) => n.address)).toEqual(expect.arrayContaining([e.from, e.to]));
  });
});

describe("the drawing", () => {
  it("has the primary first, and its ackers next to each other", () => {
    const drawn = layout(servers(clusters["a star"]!), "a", 2000);
    const at = (a: string) => drawn.nodes.find((n) => n.address === a)!;
    expect(at("a").x).toBe(0);
    expect(Math.abs(at("b").y - at("d").y)).toBe(node.height + node.gapY);
  });
  it("has a cascaded replica beside its intermediate", () => {
    const drawn = layout(servers(clusters["a cascade"]!), "a", 2000);
    const at = (a: string) => drawn.nodes.find((n) => n.address === a)!;
    expect(at("d").depth).toBe(2);
    expect(at("d").x).toBeGreaterThan(at("b").x);
    expect(drawn.edges).toContainEqual({ from: "b", to: "d" });
  });
  it("is indented where columns have no room", () => expect(layout(servers(clusters["a chain"]!), "a", 820).narrow).toBe(true));
  it("leaves what the edges say as much room as there is", () => {
    const x = (width: number) => layout(servers(clusters["a star"]!), "a", width).nodes.find((n) => n.address === "b")!.x - node.width;
    expect(x(2 * node.width + node.gapX)).toBe(node.gapX);
    expect(x(5000)).toBe(node.gapXMax);
  });
  it("of no servers is empty", () => expect(layout([], "", 800)).toMatchObject({ nodes: [], edges: [], height: 0 }));
});
