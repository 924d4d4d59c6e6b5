package browser

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/integration/panorama"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// look is a page, and what is there once it has come.
type look struct{ hash, shows string }

// looks are all pages of a landscape, and those of a cluster for each thing that can be the matter with one.
func looks(t *testing.T, plane *panorama.Plane) []look {
	t.Helper()
	all := []look{
		{"#/", element("fleet-row")}, {"#/recoveries", element("recovery-row")}, {"#/events", element("event-row")},
	}
	changes, err := plane.Recoveries(t.Context(), "", 1)
	must(t, err)
	all = append(all, look{"#/recoveries/" + url.PathEscape(changes[0].ID), element("stage")})
	met := map[string]bool{}
	for _, v := range plane.Clusters() {
		if v.Running != nil {
			continue
		}
		if kind := kindOf(v); !met[kind] {
			met[kind] = true
			all = append(all, look{"#/clusters/" + v.Name, fmt.Sprintf("%s && %s", element("server"), element("edge"))})
		}
	}
	for _, v := range plane.Clusters() {
		if slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return f.Code == topology.Errant }) {
			all = append(all, look{"#/clusters/" + v.Name + "/errant", element("errant-row")}, look{"#/clusters/" + v.Name + "/check", element("check-finding")})
			break
		}
	}
	for _, v := range plane.Clusters() {
		if v.Halting != nil {
			all = append(all, look{"#/clusters/" + v.Name + "/restart", element("halt-server", "data-place", "now")})
			break
		}
	}
	for _, v := range plane.Clusters() {
		if v.State == topology.StateHealthy && v.Leading && v.Halting == nil {
			at := "#/clusters/" + v.Name
			return append(all, look{at + "/change", element("change-dry-run")}, look{at + "/restart", element("order-dry-run")}, look{at + "/rules", element("rules-member")})
		}
	}
	return all
}

// kindOf is the same for clusters whose pages are much alike.
func kindOf(v orchestrator.View) string {
	worst := "nothing"
	if len(v.Findings) > 0 {
		worst = string(v.Findings[0].Code)
	}
	return fmt.Sprint(v.State, worst, v.Leading, v.Automation.On, v.Window().Open, len(v.Maintenance) > 0, v.Halting != nil)
}

// stirred makes a landscape that has events to show.
func stirred(t *testing.T, s panorama.Settings) (*panorama.Plane, *counter) {
	t.Helper()
	plane, c := scenery(t, s)
	for range 10 {
		plane.Change(time.Now())
	}
	must(t, plane.SetAutomation(context.Background(), plane.Clusters()[0].Name, false, orchestrator.Order{By: "ada", Reason: "to see an event"}))
	return plane, c
}

// The watch of each tab does the rest: nobody else is asked, and nothing violates the policy.
func TestEveryPageFitsAPhoneAndADeskInBothColours(t *testing.T) {
	plane, c := stirred(t, panorama.Settings{Clusters: 60, Servers: 5, Seed: 2, Changes: 2})
	p := open(t, c.base(), "/docs")
	p.await("the operations", `document.body.innerText.includes("/api/v1/clusters")`)
	p.navigate("/")
	for i, l := range looks(t, plane) {
		p.prefer([]string{"light", "dark"}[i%2])
		p.visit(l.hash)
		for _, width := range []int64{1280, 390} {
			p.size(width, 844)
			p.await(fmt.Sprintf("%s at %d pixels", l.hash, width), l.shows)
			p.await(fmt.Sprintf("%s within %d pixels", l.hash, width), fmt.Sprintf("document.documentElement.scrollWidth <= %d", width))
		}
	}
}

func TestTextOfServersAndOperatorsStaysText(t *testing.T) {
	plane, c := stirred(t, panorama.Settings{Clusters: 60, Servers: 4, Seed: 2, Changes: 2, Hostile: true})
	p := open(t, c.base(), "/")
	for _, l := range looks(t, plane) {
		p.visit(l.hash)
		p.await(l.hash, l.shows)
		if ask[bool](p, quoted(panorama.Marker)+" in window") {
			t.Fatalf("a text ran on %s", l.hash)
		}
		if made := ask[int](p, `document.querySelectorAll("img, script:not([src]), iframe, object, svg[onload], [onerror]").length`); made != 0 {
			t.Errorf("a text became %d elements on %s", made, l.hash)
		}
		if wide := ask[int64](p, "document.documentElement.scrollWidth"); wide > 1280 {
			t.Errorf("a text makes %s %d pixels wide", l.hash, wide)
		}
	}
	p.await("a text as it is", `document.body.innerHTML.includes("&lt;img src=x onerror=")`)
}
