package browser

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

// The dashboard in front of three real servers, from the death of the primary to the loss of the control plane. One page
// is opened once: whatever it shows afterwards has come by itself.
func TestAFleetIsWatchedAndChangedThroughThePage(t *testing.T) {
	f := realFleet(t)
	p := open(t, f.base(), "/")
	p.prefer("light")
	p.click("fleet-row", "data-cluster", clusterName)
	p.await("a healthy cluster", element("cluster-state", "data-state", "healthy"))
	ask[bool](p, `(window.opened = "once", true)`)
	p.remembers("cluster-state", "state")
	t.Run("its topology is drawn", func(t *testing.T) { p.in(t).seesTopology(f) })
	t.Run("the failure of its primary is watched until another leads", func(t *testing.T) { p.in(t).seesFailover(f) })
	t.Run("the recovery tells its story", func(t *testing.T) { p.in(t).readsRecovery() })
	t.Run("a planned change is made through the page", func(t *testing.T) { p.in(t).changesPrimary(f) })
	t.Run("the check of settings tells what these servers permit", func(t *testing.T) { p.in(t).checksSettings() })
	t.Run("an errant replica is looked at and rewound", func(t *testing.T) { p.in(t).settlesErrant(f) })
	t.Run("a replica is restarted, and the page says that somebody has to start it", func(t *testing.T) { p.in(t).restartsServer(f) })
	t.Run("the rules are changed through the page", func(t *testing.T) { p.in(t).changesRules() })
	t.Run("a restart that commits could not do without is refused", func(t *testing.T) { p.in(t).isRefusedARestart() })
	t.Run("a lost control plane is visible, and numbers look old", func(t *testing.T) { p.in(t).losesControlPlane(f) })
	if ask[string](p, "window.opened") != "once" {
		t.Error("the page was loaded anew")
	}
}

// in is the same tab, seen by a part of its test.
func (p *tab) in(t *testing.T) *tab {
	p.t = t
	return p
}

// remembers notes each value that a datum of an element has, in order.
func (p *tab) remembers(name, datum string) {
	ask[bool](p, fmt.Sprintf(`(() => {
		const all = window.remembered = [];
		const look = () => {
			const v = document.querySelector(%q)?.dataset[%q];
			if (v !== undefined && v !== all.at(-1)) all.push(v);
		};
		new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
		look();
		return true;
	})()`, selector(name), datum))
}

func (p *tab) primary() string {
	return ask[string](p, element("cluster-primary")+`?.dataset.address ?? ""`)
}

func (p *tab) seesTopology(f *fleet) {
	p.await("three servers", count("server")+" === 3")
	leads := p.primary()
	for _, s := range f.servers.Servers {
		if a := s.Address(); a == leads {
			p.await("the primary as such", element("server", "data-address", a, "data-role", "primary"))
		} else {
			p.await("the edge to "+a, element("edge", "data-from", leads, "data-to", a))
		}
	}
}

// seesFailover keeps Primacy from acting for a moment: it is faster than anybody could look.
func (p *tab) seesFailover(f *fleet) {
	old := p.primary()
	must(p.t, f.orch.SetAutomation(p.t.Context(), clusterName, false, orchestrator.Order{By: "ada", Reason: "to look at it"}))
	f.rests(old)
	must(p.t, f.server(old).Kill())
	killed := time.Now()
	p.await("the failure", element("cluster-state", "data-state", "primary_failed"))
	p.t.Logf("shown as failed %s after the kill", time.Since(killed).Round(time.Millisecond))
	p.await("what is wrong", element("finding", "data-code", "primary_dead"))
	p.await("the dead one", element("server", "data-address", old, "data-role", "unreachable"))
	p.picture("failed")
	must(p.t, f.orch.SetAutomation(p.t.Context(), clusterName, true, orchestrator.Order{By: "ada", Reason: "seen enough"}))
	released := time.Now()
	p.await("another primary", fmt.Sprintf("(a => a && a !== %s)(%s?.dataset.address)", quoted(old), element("cluster-primary")))
	p.await("a cluster that only lacks a server", element("cluster-state", "data-state", "degraded"))
	p.t.Logf("shown as recovered %s after Primacy was let act", time.Since(released).Round(time.Millisecond))
	seen := ask[[]string](p, "window.remembered")
	if failed := slices.Index(seen, "primary_failed"); failed < 0 || slices.Index(seen[failed:], "degraded") < 0 {
		p.t.Errorf("the page went through %q", seen)
	}
	p.await("the new primary as such", element("server", "data-address", p.primary(), "data-role", "primary"))
	p.await("the window", element("antiflap", "data-open", "true"))
}

func (p *tab) readsRecovery() {
	p.await("the recovery in the list", element("recovery-row"))
	p.do(chromedp.Click(chromedp.CSS(selector("recovery-row") + " a")))
	for _, stage := range []string{"detect", "revoke", "choose", "establish", "open"} {
		p.await("stage "+stage, element("stage", "data-name", stage, "data-outcome", "ok"))
	}
	p.await("its end", element("recovery-state", "data-state", "succeeded"))
	p.await("the word about loss", says("loss", "Nothing acknowledged was lost"))
	p.picture("recovery")
	p.readsCertificate()
	p.do(chromedp.NavigateBack())
}

// readsCertificate has the page save the file, and believes it no more than anybody should.
func (p *tab) readsCertificate() {
	p.await("that it is proven", element("proof-conclusion", "data-tone", "ok"))
	p.await("its claims", element("claim", "data-name", "revocation", "data-standing", "holds"))
	ask[bool](p, `(() => {
		const make = URL.createObjectURL;
		URL.createObjectURL = b => { b.text().then(t => window.saved = t); return make.call(URL, b) };
		return true;
	})()`)
	p.do(chromedp.Click(chromedp.CSS(selector("proof") + " " + selector("save"))))
	p.await("the file", "window.saved")
	c, err := reparent.ReadCertificate([]byte(ask[string](p, "window.saved")))
	must(p.t, err)
	if claims := c.Claims(); !reparent.Stands(claims) {
		p.t.Errorf("what was saved is not verified: %+v", claims)
	}
}

func (p *tab) changesPrimary(f *fleet) {
	p.await("the dead one", element("server", "data-role", "unreachable"))
	dead := ask[string](p, element("server", "data-role", "unreachable")+".dataset.address")
	must(p.t, f.server(dead).Start(p.t.Context()))
	p.await("three servers that are well", element("cluster-state", "data-state", "healthy"))
	p.visit("#/clusters/" + clusterName + "/change")
	p.choose("change-to", dead)
	p.click("change-dry-run")
	p.await("the steps of the dry run", count("change-step")+" >= 4")
	p.write("change-confirm", clusterName[:3])
	if !ask[bool](p, element("change-go")+".disabled") {
		p.t.Error("half of the name is enough to begin")
	}
	p.write("change-confirm", clusterName[3:])
	p.picture("change")
	p.click("change-go")
	p.await("the end of the change", element("recovery-state", "data-state", "succeeded"))
	p.await("its stages", count("stage")+" >= 4")
	p.visit("#/clusters/" + clusterName)
	p.await("the chosen primary", element("cluster-primary", "data-address", dead))
	p.await("a cluster that is well", element("cluster-state", "data-state", "healthy"))
}

func (p *tab) checksSettings() {
	p.click("to-check")
	p.await("the number of findings", says("check-result", "on 3 servers"))
	p.await("a finding", element("check-finding"))
	p.visit("#/clusters/" + clusterName)
}

// settlesErrant rewinds what somebody wrote into a replica. What was not a leader's is never proven, so that it takes
// somebody's word.
func (p *tab) settlesErrant(f *fleet) {
	p.await("the cluster", element("cluster-state", "data-state", "healthy"))
	replica := ask[string](p, element("server", "data-role", "replica")+".dataset.address")
	f.byHand(replica, "SET GLOBAL super_read_only = OFF", "UPDATE app.notes SET says = 'on the wrong server'", "SET GLOBAL super_read_only = ON")
	p.click("to-errant")
	p.await("the server", element("errant-server", "data-server", replica, "data-never", "false"))
	p.await("its row", fmt.Sprintf("%s && %s", element("errant-row", "data-action", "update"), says("errant-server", "on the wrong server")))
	p.picture("errant")
	p.click("settle-accept", "value", "possibly_acked")
	p.write("settle-reason", "a slip of the hand")
	p.rehearses("settle-dry-run", element("settle-check", "data-possible", "true")+" !== null")
	p.write("settle-confirm", replica)
	p.click("settle-go")
	p.await("its end", element("settlement", "data-state", "succeeded"))
	p.await("nothing errant", `document.body.innerText.includes("holds nothing that is errant")`)
	p.visit("#/clusters/" + clusterName)
	p.await("a cluster that is well", element("cluster-state", "data-state", "healthy"))
}

// rehearses asks for a dry run until it succeeds: of a cluster in which something was moved a moment ago it may say for a while
// that it is not possible. Who replicates from a server, for one, is asked for every 10 to 30 s only.
func (p *tab) rehearses(button, possible string) {
	p.cut(true) // Chromium takes an answer of 409 for a failure of the page
	defer p.cut(false)
	p.within(4*patience, "a dry run that succeeds: "+possible, func() bool {
		return ask[bool](p, fmt.Sprintf(`(() => { if (%s) return true; const b = %s; if (b && !b.disabled) b.click(); return false; })()`, possible, element(button)))
	})
}

// orders goes through a dry run, a reason and the cluster's name to a deed.
func (p *tab) orders(reason, plan string) {
	p.rehearses("order-dry-run", plan)
	p.write(reason, "because")
	p.write("order-confirm", clusterName)
	p.click("order-go")
}

func (p *tab) restartsServer(f *fleet) {
	replica := ask[string](p, element("server", "data-role", "replica")+".dataset.address")
	p.visit("#/clusters/" + clusterName + "/restart?server=" + replica)
	p.click("halt-shutdown")
	p.orders("halt-reason", element("halt-planned", "data-server", replica)+" !== null && "+count("halt-planned")+" === 1")
	p.await("what it waits for", element("halt-why", "data-code", "start_it"))
	p.visit("#/clusters/" + clusterName)
	p.await("the same on the cluster's page", says("halt-why", "Start "+replica+" now"))
	p.eventually("that its process has ended, and another can begin", func() bool { return f.server(replica).Start(p.t.Context()) == nil })
	p.await("its end", element("halt", "data-state", "succeeded"))
	p.await("a cluster that is well", element("cluster-state", "data-state", "healthy"))
}

func (p *tab) changesRules() {
	p.click("to-rules")
	p.await("the rules in force", element("rules-in-force", "data-number", "1"))
	p.write("rules-acks", "\b2")
	p.await("the difference", says("rules-difference", "1 acknowledgement → semi-sync, 2 acknowledgements"))
	p.orders("rules-reason", element("change-step", "data-phase", "barrier")+" !== null")
	p.await("the barrier", element("stage", "data-name", "barrier", "data-outcome", "ok"))
	p.await("its end", element("rules-change", "data-state", "succeeded"))
	p.await("other rules in force", element("rules-in-force", "data-number", "2"))
	p.visit("#/clusters/" + clusterName)
	p.await("that a commit waits for both", says("quorum", "2 of 2 ackers"))
}

// isRefusedARestart asks for what the new rules forbid: of two replicas, both have to acknowledge.
func (p *tab) isRefusedARestart() {
	replica := ask[string](p, element("server", "data-role", "replica")+".dataset.address")
	p.visit("#/clusters/" + clusterName + "/restart?server=" + replica)
	p.await("the form", element("halt-reason"))
	p.write("halt-reason", "because")
	p.cut(true) // Chromium takes an answer of 409 for a failure of the page
	p.click("order-dry-run")
	p.await("the refusal", element("refused", "data-during", "rehearsal")+" && "+element("problem", "data-code", "cannot_stop"))
	p.await("which server, and that nothing was changed", says("refused", replica)+" && "+says("refused", "Nothing was changed."))
	p.await("no way on", "!"+element("order-go"))
	p.cut(false)
	p.visit("#/clusters/" + clusterName)
	p.await("the cluster", element("cluster"))
}

func (p *tab) losesControlPlane(f *fleet) {
	p.await("the connection", element("connection", "data-state", "live"))
	p.cut(true)
	f.close()
	p.await("the loss", element("connection", "data-state", "lost"))
	p.await("the words about it", element("lost"))
	p.await("numbers that look old", element("cluster", "data-stale", "true"))
	f.open()
	ask[bool](p, fmt.Sprintf("(%s?.querySelector('button').click(), true)", element("lost"))) // unless the page was faster than the hand
	p.await("the connection", element("connection", "data-state", "live"))
	p.await("numbers that are new", fmt.Sprintf("%s && !%s", element("cluster"), element("cluster", "data-stale", "true")))
	p.cut(false)
}
