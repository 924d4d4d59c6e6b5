import { Empty } from "../parts";

export function RecoveryPage({ id }: { id: string }) {
  return <Empty>Not there yet: primacy explain {id} tells it.</Empty>;
}
