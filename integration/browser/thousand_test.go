package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/primacydb/primacy/integration/panorama"
)

func thousand(t testing.TB) (*panorama.Plane, *counter) {
	return scenery(t, panorama.Settings{Clusters: 1000, Servers: 5, Seed: 1})
}

// The numbers behind this are measured by BenchmarkAThousandClusters; here is what keeps them small.
func TestAThousandClustersAreShownByFewElementsAndFewRequests(t *testing.T) {
	plane, c := thousand(t)
	p := open(t, c.base(), "/")
	p.await("all of them", says("fleet-total", "1,000"))
	p.prefer("light")
	p.await("the first rows", element("fleet-row"))
	p.picture("fleet")
	if rows := ask[int](p, count("fleet-row")); rows > 100 {
		t.Errorf("%d rows are drawn for a screen that shows thirty", rows)
	}
	asked := p.requests("/api/v1/clusters")
	for range 200 {
		plane.Change(time.Now())
	}
	seen := plane.Clusters()
	p.write("fleet-search", seen[999].Name)
	p.await("the one that is sought", fmt.Sprintf("%s && %s === 1", element("fleet-row", "data-cluster", seen[999].Name), count("fleet-row")))
	if more := p.requests("/api/v1/clusters") - asked; more > 20 {
		t.Errorf("a burst of events led to %d requests", more)
	}
}

// Who looks at a cluster far down in the list comes back to where they were, and begins the cluster's page at its top. So
// they do on the way forward again, and after the page was loaded anew.
func TestTheWayBackToALongListEndsWhereOneWas(t *testing.T) {
	_, c := thousand(t)
	p := open(t, c.base(), "/")
	const far = 15000
	p.await("the first rows", element("fleet-row"))
	ask[bool](p, fmt.Sprintf("(scrollTo(0, %d), true)", far))
	there := fmt.Sprintf("Math.abs(scrollY - %d) < 100 && [...document.querySelectorAll('[data-row]')].some(a => a.getBoundingClientRect().top > 200)", far)
	p.await("rows far down", there)
	name := ask[string](p, `(() => {
		const link = [...document.querySelectorAll("[data-row]")].find(a => a.getBoundingClientRect().top > 200);
		link.click();
		return link.innerText;
	})()`)
	for range 2 {
		p.await("the cluster's page at its top", fmt.Sprintf("scrollY === 0 && %s && document.title.includes(%s)", element("cluster-state"), quoted(name)))
		ask[bool](p, "(history.back(), true)")
		p.await("the list where it was", there)
		ask[bool](p, "(history.forward(), true)")
	}
	p.await("the cluster's page again", element("cluster-state"))
	ask[bool](p, "(location.reload(), true)")
	p.await("the page anew", "document.readyState === 'complete' && "+element("cluster-state"))
	ask[bool](p, "(history.back(), true)")
	p.await("the list where it was, of a page that was loaded anew", there)
}

// One second of a busy fleet, with its update and all else that the page does in it, stays below what a person notices of
// one task. The time is the processor's: how busy the machine is else does not count.
func TestUpdatesOfAThousandClustersLeaveTheMainThreadFree(t *testing.T) {
	plane, c := thousand(t)
	p := blank(t, c.base())
	p.counts()
	p.navigate("/")
	p.await("the first rows", element("fleet-row"))
	loaded := p.spent()
	playing(t, plane, 50*time.Millisecond)
	p.fetch(t)
	var most, all time.Duration
	const updates = 20
	for range updates {
		before := p.spent()
		p.fetch(t)
		took := p.spent() - before
		most, all = max(most, took), all+took
	}
	t.Logf("loading took %s of the main thread; a second with an update %s on average, %s at most", loaded, all/updates, most)
	if most <= 0 || most > 100*time.Millisecond {
		t.Errorf("an update took %s of the main thread", most)
	}
}

// stopwatch runs in a page before anything else does.
const stopwatch = `
	window.longest = 0;
	new PerformanceObserver(l => l.getEntries().forEach(e => longest = Math.max(longest, e.duration))).observe({ type: "longtask", buffered: true });
	new MutationObserver((_, o) => {
		if (!document.querySelector("[data-test='fleet-row']")) return;
		window.firstRow = performance.now();
		o.disconnect();
	}).observe(document, { subtree: true, childList: true });`

var heapFile = flag.String("heap", "", "write the page's heap, once a minute, into this file (a row for each: seconds, bytes, elements)")

// BenchmarkAThousandClusters opens the fleet's page and keeps it open while a cluster changes every 50 ms: one operation is
// one fetch of the list. How long it is run says how much memory it is given to lose: -benchtime 3650x is an hour, for there is at most one fetch a second.
//
//	go test ./integration/browser -run '^$' -bench AThousandClusters -benchtime 3650x -timeout 2h -heap heap.csv
func BenchmarkAThousandClusters(b *testing.B) {
	plane, c := thousand(b)
	p := blank(b, c.base())
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: stopwatch})
		return err
	}))
	p.navigate("/")
	p.await("the first row", "window.firstRow")
	loading := ask[float64](p, "longest")
	playing(b, plane, 50*time.Millisecond)
	for range 10 { // what is made once and kept has been made by then
		p.fetch(b)
	}
	before := p.heap()
	ask[float64](p, "longest = 0")
	log := heapLog(b)
	for b.Loop() {
		p.fetch(b)
		log.minute(p)
	}
	b.ReportMetric(ask[float64](p, "firstRow"), "first-row-ms")
	b.ReportMetric(loading, "loading-task-ms")
	b.ReportMetric(ask[float64](p, "longest"), "longest-task-ms")
	b.ReportMetric(100*(p.heap()/before-1), "heap-growth-%")
	b.ReportMetric(before/1e6, "heap-MB")
	b.ReportMetric(p.elements(), "elements")
	for _, wrong := range p.noted() {
		b.Error("the page did what it must not:", wrong)
	}
}

// fetch waits until the list has been asked for once more.
func (p *tab) fetch(b testing.TB) {
	b.Helper()
	before := p.requests("/api/v1/clusters")
	p.within(hourly, "another fetch of the list", func() bool { return p.requests("/api/v1/clusters") > before })
}

// elements is of how many the page consists.
func (p *tab) elements() float64 {
	p.t.Helper()
	return askWithin[float64](p, hourly, "document.querySelectorAll('*').length")
}

// heapMinutes notes how much memory a page takes, minute by minute.
type heapMinutes struct {
	began, next time.Time
	file        *os.File // nil: nothing is noted
}

func heapLog(b *testing.B) *heapMinutes {
	h := &heapMinutes{began: time.Now(), next: time.Now()}
	if *heapFile == "" {
		return h
	}
	var err error
	h.file, err = os.Create(*heapFile)
	must(b, err)
	b.Cleanup(func() { must(b, h.file.Close()) })
	_, err = fmt.Fprintln(h.file, "seconds,heap_bytes,elements")
	must(b, err)
	return h
}

func (h *heapMinutes) minute(p *tab) {
	if h.file == nil || time.Now().Before(h.next) {
		return
	}
	h.next = h.next.Add(time.Minute)
	_, err := fmt.Fprintf(h.file, "%.0f,%.0f,%.0f\n", time.Since(h.began).Seconds(), p.heap(), p.elements())
	must(p.t, err)
}
