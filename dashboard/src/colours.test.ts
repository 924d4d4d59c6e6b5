// @vitest-environment node
import { describe, expect, it } from "vitest";
import cluster from "./cluster/cluster.css?raw";
import shared from "./style.css?raw";

const css = shared + cluster;

/** tokens are the colours of one scheme, by name. */
function tokens(scheme: "light" | "dark"): Map<string, string> {
  const found = new Map<string, string>();
  for (const m of css.matchAll(/--([\w-]+):\s*(?:light-dark\((#\w+),\s*(#\w+)\)|(#\w+));/g)) found.set(m[1]!, m[4] ?? (scheme === "light" ? m[2]! : m[3]!));
  for (const m of css.matchAll(/\.(series-\d)\s*{\s*color:\s*light-dark\((#\w+),\s*(#\w+)\)/g)) found.set(m[1]!, scheme === "light" ? m[2]! : m[3]!);
  return found;
}

function luminance(hex: string): number {
  const channel = (i: number): number => {
    const v = parseInt(hex.slice(i, i + 2), 16) / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const grounds = ["ground", "surface", "sunken"];
const onAll = ["text", "quiet", "accent", "ok", "warn", "bad", "busy", "none"].flatMap((t) => grounds.map((g) => [t, g] as const));
const pairs = [
  ...onAll,
  ...["ok", "warn", "bad", "busy", "none"].flatMap((t) => [[t, `${t}-ground`], ["text", `${t}-ground`], ["quiet", `${t}-ground`]] as const),
  ["accent", "bad-ground"], ["accent", "busy-ground"], ["bad", "busy-ground"], ["warn", "busy-ground"], ["warn", "bad-ground"], ["on-accent", "accent"], ["on-danger", "danger"],
] as const;
const lines = [["line-strong", "surface"], ["line-strong", "ground"], ...Array.from({ length: 8 }, (_, i) => [`series-${i}`, "surface"] as const)] as const;

describe.each(["light", "dark"] as const)("in the %s scheme", (scheme) => {
  const t = tokens(scheme);
  it.each(pairs)("%s on %s can be read (4.5 : 1)", (text, ground) => expect(contrast(t.get(text)!, t.get(ground)!)).toBeGreaterThanOrEqual(4.5));
  it.each(lines)("%s on %s can be seen (3 : 1)", (line, ground) => expect(contrast(t.get(line)!, t.get(ground)!)).toBeGreaterThanOrEqual(3));
});
