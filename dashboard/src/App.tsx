import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { onSignIn, setCredentials, hasCredentials, signInNeeded } from "./api/client";
import { ChangePage } from "./change/ChangePage";
import { CheckPage } from "./check/CheckPage";
import { ClusterPage } from "./cluster/ClusterPage";
import { ErrantPage } from "./errant/ErrantPage";
import { EventsPage } from "./events/EventsPage";
import { FleetPage } from "./fleet/FleetPage";
import { useFocus } from "./focus";
import { HaltPage } from "./halt/HaltPage";
import { keyList, useKeys } from "./keys";
import { stream, useConnection } from "./live";
import { Dialog, Empty } from "./parts";
import { RecoveriesPage } from "./recoveries/RecoveriesPage";
import { RecoveryPage } from "./recoveries/RecoveryPage";
import { href, type Route, useRoute } from "./route";
import { RulesPage } from "./rules/RulesPage";
import { startScroll } from "./scroll";
import { SignIn } from "./signin/SignIn";
import { nextTheme, setTheme, useTheme } from "./theme";
import { clock, now, span, useSecond } from "./time";
import { startWho, useWho } from "./who";

/** App is the frame around every page: where one can go, who one is, and whether what is shown is still true. */
export function App() {
  const route = useRoute();
  const [help, setHelp] = useState(false);
  useKeys(useCallback(() => setHelp(true), []));
  useEffect(() => stream.start(), []);
  useEffect(() => startWho(), []);
  useEffect(() => startScroll(), []);
  useFocus(keyOf(route));
  useEffect(() => {
    document.title = titleOf(route);
  }, [route]);
  const needed = useSyncExternalStore(onSignIn, signInNeeded);
  return (
    <>
      <a className="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to content
      </a>
      <Bar route={route} onHelp={() => setHelp(true)} />
      {needed === undefined && <Lost />}
      <main id="main" tabIndex={-1}>
        {needed === undefined ? <Page key={keyOf(route)} route={route} /> : <SignIn why={needed} />}
      </main>
      {help && <Keys onClose={() => setHelp(false)} />}
    </>
  );
}

function Page({ route: r }: { route: Route }) {
  switch (r.page) {
    case "fleet":
      return <FleetPage />;
    case "cluster":
      return <ClusterPage cluster={r.cluster} />;
    case "change":
      return <ChangePage cluster={r.cluster} />;
    case "errant":
      return <ErrantPage cluster={r.cluster} />;
    case "check":
      return <CheckPage cluster={r.cluster} />;
    case "restart":
      return <HaltPage cluster={r.cluster} />;
    case "rules":
      return <RulesPage cluster={r.cluster} />;
    case "recoveries":
      return <RecoveriesPage />;
    case "recovery":
      return <RecoveryPage id={r.id} />;
    case "events":
      return <EventsPage />;
    case "lost":
      return (
        <Empty>
          There is no page at {r.path}. <a href={href.fleet()}>To the fleet</a>
        </Empty>
      );
  }
}

/** keyOf makes a page begin anew when it shows something else. */
function keyOf(r: Route): string {
  return [r.page, "cluster" in r ? r.cluster : "", "id" in r ? r.id : ""].join("/");
}

function titleOf(r: Route): string {
  const what = { fleet: "Fleet", cluster: "", change: "Change of ", errant: "Errant transactions of ", check: "Settings of ", restart: "Restart of ", rules: "Rules of ", recoveries: "Recoveries", recovery: "", events: "Events", lost: "Nothing here" }[r.page];
  return `${what}${"cluster" in r ? r.cluster : ""}${"id" in r ? r.id : ""} · Primacy`;
}

function Bar({ route, onHelp }: { route: Route; onHelp: () => void }) {
  const who = useWho();
  const theme = useTheme();
  const at = (pages: Route["page"][]) => (pages.includes(route.page) ? "page" : undefined);
  return (
    <header className="bar">
      <a className="brand" href={href.fleet()}>
        <span aria-hidden="true" className="mark">◆</span> Primacy
      </a>
      <nav aria-label="Pages">
        <a href={href.fleet()} aria-current={at(["fleet", "cluster", "change", "errant", "check", "restart", "rules"])}>Fleet</a>
        <a href={href.recoveries()} aria-current={at(["recoveries", "recovery"])}>Recoveries</a>
        <a href={href.events()} aria-current={at(["events"])}>Events</a>
        <a href="docs">API</a>
      </nav>
      <div className="tools">
        <ConnectionSign />
        {who?.auth && <span className="who" title={`role ${who.role}`}>{who.name}</span>}
        {hasCredentials() && <button type="button" className="plain" onClick={() => setCredentials(null)}>Sign out</button>}
        <button type="button" className="plain" data-test="theme" onClick={() => setTheme(nextTheme(theme))} title={`colours: ${theme}`} aria-label={`colours: ${theme}`}>
          {theme === "auto" ? "◐" : theme === "light" ? "☀" : "☾"}
        </button>
        <button type="button" className="plain" onClick={onHelp} aria-label="keys" title="keys">?</button>
      </div>
    </header>
  );
}

function ConnectionSign() {
  const c = useConnection();
  const words = { live: "live", connecting: "connecting", lost: "lost" };
  return (
    <span className={`connection connection-${c.state}`} data-test="connection" data-state={c.state} role="status">
      <span className="dot" aria-hidden="true" /> {words[c.state]}
    </span>
  );
}

/** Lost says that what is shown may no longer be true. It lies over the page, so that nothing moves. */
function Lost() {
  const c = useConnection();
  useSecond();
  if (c.state !== "lost") return null;
  const wait = c.retryAt === undefined ? 0 : Math.max(0, Math.ceil((c.retryAt - now()) / 1000));
  return (
    <div className="lost" data-test="lost">
      <span role="alert"><strong>The control plane does not answer this page</strong> since {clock(new Date(c.since).toISOString())}. What you see is from before.</span>{" "}
      <span className="num">That is {span(Math.max(1000, now() - c.since))}. {wait > 0 ? `Trying again in ${wait} s.` : "Trying now."}</span>{" "}
      <button type="button" onClick={() => stream.reconnect()}>Try now</button>
    </div>
  );
}

function Keys({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="keys">
        {keyList.map(([keys, does]) => (
          <div key={keys}>
            <dt>{keys.split(" ").filter((k) => k !== "").map((k) => <kbd key={k}>{k}</kbd>)}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
