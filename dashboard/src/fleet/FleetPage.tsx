import type { ClusterList } from "../api/types";
import { useLive } from "../live";
import { StateBadge } from "../parts";
import { href } from "../route";

export function FleetPage() {
  const { data } = useLive<ClusterList>("/api/v1/clusters", { every: 2000, wakes: () => true });
  return (
    <ul>
      {data?.clusters.map((c) => (
        <li key={c.name} data-test="fleet-row" data-cluster={c.name}>
          <StateBadge state={c.state} /> <a href={href.cluster(c.name)}>{c.name}</a>
        </li>
      ))}
    </ul>
  );
}
