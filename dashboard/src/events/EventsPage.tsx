import { Empty } from "../parts";

export function EventsPage() {
  return <Empty>Not there yet: /api/v1/events streams them.</Empty>;
}
