import { Empty } from "../parts";

export function ChangePage({ cluster }: { cluster: string }) {
  return <Empty>Changing the primary of {cluster} from here is not there yet: primacy reparent does it.</Empty>;
}
