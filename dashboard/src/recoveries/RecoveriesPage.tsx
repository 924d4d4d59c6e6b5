import { Empty } from "../parts";

export function RecoveriesPage() {
  return <Empty>Not there yet: primacy recoveries lists them.</Empty>;
}
