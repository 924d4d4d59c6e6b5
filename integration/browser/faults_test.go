package browser

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/primacydb/primacy/integration/panorama"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// fault comes in the way of a request; false lets it pass.
type fault func(w http.ResponseWriter, r *http.Request) bool

// fails makes requests fail by one of the ways below, until mends is called. Of a method "" all are meant.
func (c *counter) fails(method, part string, way http.HandlerFunc) {
	f := fault(func(w http.ResponseWriter, r *http.Request) bool {
		meant := strings.HasPrefix(r.URL.Path, "/api/v1/") && r.URL.Path != "/api/v1/events" && (method == "" || r.Method == method) && strings.Contains(r.URL.Path, part)
		if meant {
			_, _ = io.Copy(io.Discard, r.Body) // as a server does that has read what it was asked
			way(w, r)
		}
		return meant
	})
	c.fault.Store(&f)
}

func (c *counter) mends() { c.fault.Store(nil) }

// broken is a control plane in which something went wrong.
func broken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal","detail":"<img src=x onerror=alert(1)> went wrong"}`)
}

// proxied is what somebody else answers in place of the control plane.
func proxied(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w, "<html><body><h1>Bad gateway</h1></body></html>")
}

// cut breaks the connection off.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// silent gives no answer until whoever asks has had enough.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// press presses keys, one after the other.
func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		p.do(chromedp.KeyEvent(k))
	}
}

// on is that an element has the focus.
func on(name string, attributes ...string) string {
	return fmt.Sprintf("document.activeElement?.matches(%s)", quoted(selector(name, attributes...)))
}

// stands is that the focus is somewhere on the page, not at its very top.
const stands = `(document.activeElement !== document.body && document.activeElement?.closest("main") !== null)`

// tabTo goes to an element by the Tab key alone.
func (p *tab) tabTo(name string, attributes ...string) {
	p.t.Helper()
	p.await(name+" to go to", fmt.Sprintf("%s && !%s.disabled", element(name, attributes...), element(name, attributes...)))
	for range 200 {
		if ask[bool](p, "Boolean("+on(name, attributes...)+")") {
			return
		}
		p.press(kb.Tab)
	}
	p.t.Fatalf("no Tab leads to %s; the focus is on %s", name, ask[string](p, "document.activeElement?.outerHTML.slice(0, 300) ?? 'nothing'"))
}

// newer are the pages of a landscape that came after the first ones, each with what is there once it has come, and where it says how old that is.
func newer(t *testing.T, plane *panorama.Plane) []look {
	t.Helper()
	changes, err := plane.Recoveries(t.Context(), "", 1)
	must(t, err)
	restarted, well, astray := clusterWhere(t, plane, halting), clusterWhere(t, plane, healthy), clusterWhere(t, plane, errant)
	return []look{
		{"#/clusters/" + restarted, element("halt-server")}, {"#/clusters/" + restarted + "/restart", element("halt-server")},
		{"#/clusters/" + well + "/restart", element("order-dry-run")}, {"#/clusters/" + well + "/rules", element("rules-member")},
		{"#/clusters/" + well + "/change", element("change-dry-run")}, {"#/clusters/" + well, element("server")},
		{"#/clusters/" + astray + "/errant", element("errant-row")}, {"#/clusters/" + astray + "/check", element("check-finding")},
		{"#/recoveries/" + changes[0].ID, element("proof-conclusion")}, {"#/recoveries", element("recovery-row")},
	}
}

func halting(v orchestrator.View) bool { return v.Halting != nil }

func healthy(v orchestrator.View) bool {
	return v.State == topology.StateHealthy && v.Leading && v.Halting == nil
}

func errant(v orchestrator.View) bool {
	for _, f := range v.Findings {
		if f.Code == topology.Errant {
			return true
		}
	}
	return false
}

func clusterWhere(t *testing.T, plane *panorama.Plane, is func(orchestrator.View) bool) string {
	t.Helper()
	for _, v := range plane.Clusters() {
		if is(v) {
			return v.Name
		}
	}
	t.Fatal("the landscape has no such cluster")
	return ""
}

func landscape(t *testing.T) (*panorama.Plane, *counter, *tab) {
	t.Helper()
	plane, c := stirred(t, panorama.Settings{Clusters: 60, Servers: 5, Seed: 2, Changes: 2})
	return plane, c, open(t, c.base(), "/")
}

func TestAPageThatGetsNoAnswerSaysWhyAndWhatToDo(t *testing.T) {
	plane, c, p := landscape(t)
	ways := []struct {
		name, says string
		way        http.HandlerFunc
	}{
		{"an error of the control plane", "control plane's log", broken},
		{"a proxy's own page", "That is no answer of Primacy", proxied},
		{"a connection that breaks off", "does not answer", cut},
	}
	p.cut(true)
	for _, l := range newer(t, plane) {
		for _, w := range ways {
			c.fails("", "", w.way)
			p.visit("#/nowhere")
			p.visit(l.hash)
			p.await(l.hash+" under "+w.name, fmt.Sprintf("document.querySelector('main').innerText.includes(%s)", quoted(w.says)))
			if ask[bool](p, "Boolean("+l.shows+")") {
				t.Errorf("%s shows something under %s", l.hash, w.name)
			}
			if made := ask[int](p, `document.querySelectorAll("main img").length`); made != 0 {
				t.Errorf("an error became an element on %s", l.hash)
			}
			c.mends()
			if ask[bool](p, "Boolean("+element("errant-again")+")") {
				p.click("errant-again") // binary logs are read when somebody asks
			}
			p.await(l.hash+" by itself, after "+w.name, l.shows)
		}
	}
}

// What is shown stays readable while nothing newer comes, looks old, and says why.
func TestWhatIsOldLooksOldAndSaysWhy(t *testing.T) {
	plane, c, p := landscape(t)
	p.cut(true)
	for _, l := range newer(t, plane)[:6] {
		p.visit(l.hash)
		p.await(l.hash, l.shows)
		c.fails("", "", broken)
		p.await(l.hash+" looks old", `document.querySelector(".stale") && document.querySelector("[data-test=freshness][data-stale]")?.innerText.includes("went wrong")`)
		if !ask[bool](p, "Boolean("+l.shows+")") {
			t.Errorf("%s no longer shows what it knew", l.hash)
		}
		c.mends()
		p.await(l.hash+" looks new", `!document.querySelector(".stale") && !document.querySelector("[data-test=freshness][data-stale]")`)
	}
}

func TestErrantTransactionsThatCannotBeReadAgainAreNotTakenForNew(t *testing.T) {
	plane, c, p := landscape(t)
	p.visit("#/clusters/" + clusterWhere(t, plane, errant) + "/errant")
	p.await("the rows", element("errant-row"))
	p.await("what a file of it lacks, in words", fmt.Sprintf("(document.querySelector('[data-test=errant-transaction][data-gtid$=\":2\"]').open = true, %s)", says("errant-lacks", "It did more than stands here")))
	read := ask[string](p, element("errant-read")+".innerText")
	p.cut(true)
	c.fails("", "/errant", broken)
	p.tabTo("errant-again")
	time.Sleep(1100 * time.Millisecond) // another second on the clock, so that a wrong one would show
	p.press(kb.Enter)
	p.await("that it is old", element("errant-read", "data-stale", "true"))
	if now := ask[string](p, element("errant-read")+".innerText"); !strings.HasSuffix(now, strings.TrimPrefix(read, "read at ")) {
		t.Errorf("%q became %q although nothing was read", read, now)
	}
	p.await("it to look old", fmt.Sprintf("%s.classList.contains('stale')", element("errant-server")))
	p.await("the focus where it was", on("errant-again"))
	c.mends()
	p.press(kb.Enter)
	p.await("that it is new", "!"+element("errant-read", "data-stale", "true"))
}

// A restart that the control plane refuses: once to the dry run, once to the order itself.
func TestARefusedRestartSaysWhyAndThatNothingWasChanged(t *testing.T) {
	plane, c, p := landscape(t)
	name := clusterWhere(t, plane, healthy)
	p.visit("#/clusters/" + name + "/restart")
	p.tabTo("halt-reason")
	p.press("upgrade")
	p.tabTo("order-dry-run")
	p.press(kb.Enter)
	p.await("the plan", element("halt-planned"))
	p.await("the focus where it was", on("order-dry-run"))
	p.tabTo("order-confirm")
	p.cut(true)
	p.press(name, kb.Enter) // what is shown here does not exist: the order is refused with 409
	p.await("the refusal", fmt.Sprintf("%s && %s", element("refused", "data-during", "order"), element("problem", "data-code", "cannot_stop")))
	p.await("its words", says("refused", "It was not begun. Nothing was changed.")+" && "+says("refused", "do not exist"))
	p.await("no way on", "!"+element("order-go"))
	p.await("the focus beside it", stands)
	c.fails(http.MethodPost, "/restart", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"type":"about:blank","title":"Conflict","status":409,"code":"cannot_stop","detail":"commits could not do without db2:3306"}`)
	})
	p.tabTo("order-dry-run")
	p.press(kb.Enter)
	p.await("the refusal of the dry run", element("refused", "data-during", "rehearsal")+" && "+says("refused", "commits could not do without db2:3306"))
	p.await("the focus where it was", on("order-dry-run"))
}

// An order whose answer is lost is asked for again by the same key, by keys alone.
func TestAnOrderWithoutAnAnswerIsAskedForAgainByKeys(t *testing.T) {
	plane, c, p := landscape(t)
	name := clusterWhere(t, plane, healthy)
	p.cut(true)
	p.visit("#/clusters/" + name + "/rules")
	p.tabTo("rules-acks")
	p.press(kb.Backspace, "2")
	p.tabTo("rules-reason")
	p.press("a second copy")
	c.fails(http.MethodPut, "/rules", proxied)
	p.tabTo("order-dry-run")
	p.press(kb.Enter)
	p.await("that the dry run got no answer", says("refused", "Let it run again"))
	c.mends()
	p.await("the focus where it was", on("order-dry-run"))
	p.press(kb.Enter)
	p.await("the steps", element("change-step"))
	p.tabTo("order-confirm")
	c.fails(http.MethodPut, "/rules", cut)
	p.press(name, kb.Enter)
	p.await("that it may have begun", says("order-unanswered", "Asking again is safe"))
	p.await("the focus where it was", on("order-confirm"))
	c.mends()
	p.press(kb.Enter)
	p.await("the change", element("rules-change"))
	p.await("the focus on the page", stands)
}

// Maintenance goes by a dialog: it takes the focus and gives it back, and tells an error from silence.
func TestADialogGivesTheFocusBackAndSaysWhatCameOfIt(t *testing.T) {
	plane, c, p := landscape(t)
	name := clusterWhere(t, plane, healthy)
	p.visit("#/clusters/" + name)
	server := string(plane.Clusters()[0].Primary)
	for _, v := range plane.Clusters() {
		if v.Name == name {
			server = string(v.Ruleset.Members[1].Address)
		}
	}
	p.await("the server", element("server", "data-address", server))
	button := fmt.Sprintf("document.activeElement?.dataset.test === 'maintenance' && document.activeElement.closest('[data-test=server]').dataset.address === %s", quoted(server))
	ask[bool](p, fmt.Sprintf("(%s.querySelector('[data-test=maintenance]').focus(), true)", element("server", "data-address", server)))
	p.press(kb.Enter)
	p.await("the focus in the dialog", `document.activeElement?.id === "reason"`)
	p.press(kb.Escape)
	p.await("the focus where it was", "!"+element("switch")+" && "+button)
	p.cut(true)
	p.press(kb.Enter)
	p.await("the dialog", element("switch"))
	c.fails(http.MethodPut, "/maintenance", broken)
	p.press("a new disk", kb.Enter)
	p.await("that it is not known", element("switch-unanswered")+" && "+says("switch", "went wrong"))
	c.fails(http.MethodPut, "/maintenance", silent)
	p.tabTo("switch-go")
	p.press(kb.Enter)
	p.await("that it is asked", says("switch", "Sending …"))
	p.press(kb.Escape)
	p.await("that nobody waits any more", says("switch", "no answer has come yet"))
	c.mends()
	p.tabTo("switch-go")
	p.press(kb.Enter)
	p.await("that it is done", "!"+element("switch")+" && "+fmt.Sprintf("%s.innerText.includes('a new disk')", element("server", "data-address", server)))
	p.await("the focus where it was", button)
	p.press(kb.Enter)
	p.await("the dialog", element("switch"))
	p.press(kb.Escape)
	p.await("the focus where it was, again", "!"+element("switch")+" && "+button)
}

// The end of a restart stands in the same answer in which it is no longer under way.
func TestARestartThatEndsIsShownAsEndedAtOnce(t *testing.T) {
	for _, page := range []string{"", "/restart"} {
		plane, c, p := landscape(t)
		name := clusterWhere(t, plane, halting)
		p.visit("#/clusters/" + name + page)
		p.await("it under way", element("halt", "data-state", "running"))
		p.remembers("halt", "state")
		c.fails("", "/halts", silent) // the list of those that ended is slow
		_, err := plane.CancelHalt(t.Context(), name, orchestrator.Order{By: "ada", Reason: "not today"})
		must(t, err)
		p.await("its end", element("halt", "data-state", "cancelled"))
		if seen := ask[[]string](p, "window.remembered"); len(seen) != 2 {
			t.Errorf("on %s%s it went through %q", name, page, seen)
		}
	}
}

// Who calls a restart off by keys stands beside what came of it.
func TestARestartIsCalledOffByKeys(t *testing.T) {
	plane, _, p := landscape(t)
	p.visit("#/clusters/" + clusterWhere(t, plane, halting) + "/restart")
	p.tabTo("halt-cancel")
	p.press(kb.Enter)
	p.await("the focus in the dialog", `document.activeElement?.id === "reason"`)
	p.press("not today", kb.Enter)
	p.await("its end", element("halt", "data-state", "cancelled"))
	p.await("no dialog", "!"+element("switch"))
	p.await("the focus beside it", stands)
}

// A server is settled by keys, through an answer that is lost.
func TestAnErrantServerIsSettledByKeys(t *testing.T) {
	plane, c, p := landscape(t)
	p.visit("#/clusters/" + clusterWhere(t, plane, errant) + "/errant")
	p.await("the server", element("errant-server"))
	server := ask[string](p, element("errant-server")+".dataset.server")
	p.cut(true)
	p.tabTo("settle-reason")
	p.press("a slip of the hand")
	if ask[bool](p, element("settle-responsible")+".open") {
		p.tabTo("settle-accept", "value", "possibly_acked")
		p.press(" ")
	}
	c.fails(http.MethodPost, "/errant", broken)
	p.tabTo("settle-dry-run")
	p.press(kb.Enter)
	p.await("that the dry run got no answer", says("refused", "Let it run again"))
	c.mends()
	p.await("the focus where it was", on("settle-dry-run"))
	p.press(kb.Enter)
	p.await("that it is possible", element("settle-check", "data-possible", "true"))
	p.tabTo("settle-confirm")
	c.fails(http.MethodPost, "/errant", proxied)
	p.press(server, kb.Enter)
	p.await("that it may have begun", says("settle-unanswered", "It may have begun or not"))
	c.mends()
	p.await("the focus where it was", on("settle-confirm"))
	p.press(kb.Enter)
	p.await("that it is under way, or over", element("settlement"))
	p.await("the focus on the page", stands)
}

// A page that is opened by a key begins at its top, where the next Tab leads into it.
func TestAPageThatIsOpenedTakesTheFocus(t *testing.T) {
	plane, _, p := landscape(t)
	name := clusterWhere(t, plane, healthy)
	p.await("the rows", element("fleet-row"))
	p.press("/")
	p.await("the search", on("fleet-search"))
	p.press(kb.Backspace, name, kb.Enter, kb.Enter) // a key that is made up types its character although the page took it
	p.await("the cluster", element("cluster-state"))
	p.await("the focus on the page", `document.activeElement?.id === "main"`)
	p.press("g", "r")
	p.await("the list", `document.title.startsWith("Recoveries")`+" && "+element("recovery-row")) // a cluster's page has such rows too
	p.press("j", kb.Enter)
	p.await("the change", element("proof"))
	p.press("?")
	p.await("the keys", `document.querySelector("dialog[open]")`)
	p.press(kb.Escape)
	p.await("the focus where it was", `!document.querySelector("dialog") && document.activeElement?.id === "main"`)
}
