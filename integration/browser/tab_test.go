package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a page that somebody looks at. Everything that it must not do is noted, and fails its test at the end.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string // where the control plane serves

	mu     sync.Mutex
	wrongs []string
	asked  []string // the addresses of all requests
	// cutOff is set while the control plane is away on purpose: requests fail then.
	cutOff bool
}

// open opens a tab of its own session on a page of the control plane at base.
func open(t *testing.T, base, address string) *tab {
	t.Helper()
	p := blank(t, base)
	t.Cleanup(func() {
		for _, wrong := range p.noted() {
			t.Error("the page did what it must not:", wrong)
		}
	})
	p.navigate(address)
	return p
}

// blank is a tab that shows nothing yet, whose wrongs fail nobody.
func blank(t testing.TB, base string) *tab {
	t.Helper()
	ctx, leave := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(leave)
	p := &tab{t: t, ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	p.size(1280, 900)
	return p
}

// hear notes what a page must not do.
func (p *tab) hear(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requested(e.Request.URL)
		if u := e.Request.URL; !strings.HasPrefix(u, p.base+"/") && !strings.HasPrefix(u, "data:") {
			p.note("it asked somebody else: " + u)
		}
	case *page.EventJavascriptDialogOpening:
		p.note("it opened a dialog: " + e.Message)
	case *runtime.EventExceptionThrown:
		p.note("it threw: " + e.ExceptionDetails.Text + " " + described(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			p.note(fmt.Sprintf("it complained: %s", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		p.entered(e.Entry)
	}
}

func described(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description
}

// entered judges what the browser itself wrote into the log of a page: violations of the policy and failed requests.
func (p *tab) entered(e *log.Entry) {
	p.mu.Lock()
	expected := p.cutOff && e.Source == log.EntrySourceNetwork
	p.mu.Unlock()
	if e.Level == log.EntryLevelError && !expected {
		p.note(fmt.Sprintf("%s: %s %s", e.Source, e.Text, e.URL))
	}
}

func (p *tab) note(wrong string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrongs = append(p.wrongs, wrong)
}

func (p *tab) requested(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, address)
}

// requests counts those for a path of the control plane.
func (p *tab) requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, address := range p.asked {
		if rest, ok := strings.CutPrefix(address, p.base+path); ok && (rest == "" || rest[0] == '?') {
			n++
		}
	}
	return n
}

func (p *tab) noted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.wrongs)
}

// cut says whether requests may fail.
func (p *tab) cut(off bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutOff = off
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	p.doWithin(patience, steps...)
}

func (p *tab) doWithin(most time.Duration, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, most)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v\nthe page shows:\n%s", err, p.text())
	}
}

func (p *tab) navigate(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.base + address))
}

// visit goes to another page of the dashboard without loading anything anew, and ends once the page before is gone: two pages
// may well have a part of the same name.
func (p *tab) visit(hash string) {
	p.t.Helper()
	ask[bool](p, fmt.Sprintf(`(() => {
		window.arrived = new URL(%[1]s, location.href).href === location.href;
		addEventListener("hashchange", () => { window.arrived = true }, { once: true }); // the page's own came before it, and draws at once
		location.hash = %[1]s;
		return true;
	})()`, quoted(hash)))
	p.await("to arrive at "+hash, "window.arrived")
}

// ask evaluates an expression in the page.
func ask[T any](p *tab, expression string) T {
	p.t.Helper()
	return askWithin[T](p, patience, expression)
}

func askWithin[T any](p *tab, most time.Duration, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, most)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text is what a reader of the page sees.
func (p *tab) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// await waits until an expression holds in the page.
func (p *tab) await(what, expression string) {
	p.t.Helper()
	p.eventually(what+" ("+expression+")", func() bool { return ask[bool](p, "Boolean("+expression+")") })
}

// eventually asks until the answer is yes.
func (p *tab) eventually(what string, holds func() bool) {
	p.t.Helper()
	p.within(patience, what, holds)
}

// within asks until the answer is yes, or so much time has passed.
func (p *tab) within(most time.Duration, what string, holds func() bool) {
	p.t.Helper()
	deadline, tick := time.NewTimer(most), time.NewTicker(25*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			p.t.Fatalf("never saw: %s\nthe page shows:\n%s\nit did: %q", what, p.text(), p.noted())
		}
	}
}

// element is the expression that finds something by the name that it has for tests.
func element(name string, attributes ...string) string {
	return fmt.Sprintf("document.querySelector(%s)", quoted(selector(name, attributes...)))
}

// selector is of the element with that name and, in pairs, those attributes.
func selector(name string, attributes ...string) string {
	s := fmt.Sprintf("[data-test=%q]", name)
	for i := 0; i+1 < len(attributes); i += 2 {
		s += fmt.Sprintf("[%s=%q]", attributes[i], attributes[i+1])
	}
	return s
}

// count is how many elements there are of a name.
func count(name string, attributes ...string) string {
	return fmt.Sprintf("document.querySelectorAll(%s).length", quoted(selector(name, attributes...)))
}

// says is that the text of an element contains another.
func says(name, part string) string {
	return fmt.Sprintf("%s?.innerText.includes(%s)", element(name), quoted(part))
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(text)
}

// click presses the mouse on an element once it is there and can be pressed.
func (p *tab) click(name string, attributes ...string) {
	p.t.Helper()
	p.await(name+" to click on", fmt.Sprintf("%s && !%s.disabled", element(name, attributes...), element(name, attributes...)))
	p.do(chromedp.Click(chromedp.CSS(selector(name, attributes...))))
}

// write types a text into an element. chromedp.SendKeys would read the element's attributes while the page changes them, which
// the race detector sees.
func (p *tab) write(name, text string) {
	p.t.Helper()
	e := element(name)
	p.await(name+" to write into", fmt.Sprintf("%[1]s?.getClientRects().length && !%[1]s.disabled && (%[1]s.focus(), document.activeElement === %[1]s)", e))
	p.do(chromedp.KeyEvent(text))
}

// choose picks an option as a person does who opens the list.
func (p *tab) choose(name, value string) {
	p.t.Helper()
	p.await(name+" to choose "+value, fmt.Sprintf("%s?.querySelector(`option[value=%s]`)", element(name), quoted(value)))
	ask[bool](p, fmt.Sprintf(`(e => {
		Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value").set.call(e, %s);
		return e.dispatchEvent(new Event("change", { bubbles: true }));
	})(%s)`, quoted(value), element(name)))
}

func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// prefer makes the page light or dark for those who leave that to their system.
func (p *tab) prefer(scheme string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// hourly bounds what a page is asked that is watched for an hour beside other work: a machine may well keep it waiting for
// a quarter of a minute once in that time.
const hourly = 8 * patience

// heap is how much memory the page's objects take, once all rubbish has been taken away.
func (p *tab) heap() float64 {
	p.t.Helper()
	var used float64
	p.doWithin(hourly, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for range 2 { // what finalizers let go is taken away by the second
			if _, err := cdp.Call(ctx, t, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
				return err
			}
		}
		r, err := cdp.Call(ctx, t, runtime.GetHeapUsage, cdp.Empty{})
		used = r.UsedSize
		return err
	}))
	return used
}

// counts has the page's main thread be measured by the processor's time, which other programs do not lengthen.
func (p *tab) counts() {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
		return err
	}))
}

// spent is the processor's time that the page's main thread has taken so far, all tasks together. See counts.
func (p *tab) spent() time.Duration {
	p.t.Helper()
	var seconds float64
	p.doWithin(hourly, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		told, err := cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
		for _, m := range told.Metrics {
			if m.Name == "TaskDuration" {
				seconds = m.Value
			}
		}
		return err
	}))
	return time.Duration(seconds * float64(time.Second))
}

// picture takes one for the documents, when that is asked for.
func (p *tab) picture(name string) {
	p.t.Helper()
	if !*update {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join("..", "..", "docs", "pictures", name+".png")
	must(p.t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(p.t, os.WriteFile(file, png, 0o644))
}
