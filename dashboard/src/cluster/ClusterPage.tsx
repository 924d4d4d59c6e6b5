import type { Cluster } from "../api/types";
import { useLive } from "../live";
import { StateBadge } from "../parts";
import { href } from "../route";

export function ClusterPage({ cluster }: { cluster: string }) {
  const { data } = useLive<Cluster>(`/api/v1/clusters/${encodeURIComponent(cluster)}`, { every: 1000, wakes: (e) => e.cluster === cluster });
  return (
    <>
      <h1>{cluster}</h1>
      {data && <StateBadge state={data.state} />} <a href={href.change(cluster)}>Change the primary</a>
    </>
  );
}
