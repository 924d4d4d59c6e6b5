// How many transactions a GTID set holds, for people: nobody compares sets of UUIDs and intervals by eye.

/** transactions counts the members of a set such as 3e11fa47-…:1-5:7,…:tag:1-3; undefined when it is not one. */
export function transactions(set: string): number | undefined {
  if (set.trim() === "") return 0;
  let n = 0;
  for (const source of set.split(",")) {
    for (const part of source.trim().split(":").slice(1)) {
      const interval = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
      if (interval) n += Number(interval[2] ?? interval[1]) - Number(interval[1]) + 1;
      else if (!/^[a-z_][a-z0-9_]*$/i.test(part.trim())) return undefined;
    }
  }
  return n;
}
